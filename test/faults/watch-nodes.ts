import type { Violation } from './checker.ts';
import type { Cluster, FaultNode } from './cluster.ts';
import type { JournalEntry } from './nemesis.ts';

/** The largest that was measured of any node. */
export interface Load {
  /** Resident memory; bytes. */
  readonly memoryBytes: number;
  /** How late the event loop was while nothing held the process; ms. */
  readonly loopDelayMs: number;
}

/** Nodes that are measured until they no longer are. */
export interface NodeWatch {
  readonly load: Load;
  stop(): Violation[];
}

/** How much memory a node may have; bytes. */
const memoryBound = 512 * 1_048_576;
const everyMs = 500;
/** A process that has just started is busy with that, and one that goes on again was not there; ms. */
const settlingMs = 3_000;

/**
 * Reads /metrics of every node that answers, twice a second. What a measurement finds is since the last one. An event
 * loop may be late by so many ms.
 */
export function watchNodes(
  { nodes }: Cluster,
  journal: readonly JournalEntry[],
  loopDelayBound: number,
): NodeWatch {
  const violations: Violation[] = [];
  let memoryBytes = 0;
  let loopDelayMs = 0;

  async function measure(node: FaultNode, n: number): Promise<void> {
    const began = Date.now();
    const response = await fetch(new URL('/metrics', node.directUrl), {
      signal: AbortSignal.timeout(everyMs * 4),
    });
    const text = await response.text();
    const read = (name: string) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1] ?? 0);
    const where = `node ${n}`;
    const memory = read('process_resident_memory_bytes');
    memoryBytes = Math.max(memoryBytes, memory);
    if (memory > memoryBound)
      violations.push({
        kind: 'memory',
        where,
        at: began,
        detail: `It has ${Math.round(memory / 1_048_576)} MiB.`,
      });
    if (wasHeld(where, began)) return;
    const delay = read('nodejs_eventloop_lag_max_seconds') * 1_000;
    loopDelayMs = Math.max(loopDelayMs, delay);
    if (delay > loopDelayBound)
      violations.push({
        kind: 'event loop',
        where,
        at: began,
        detail: `It was ${Math.round(delay)} ms late.`,
      });
  }

  /** Whether the process was stopped or started, or its last measurement was before that. */
  const wasHeld = (where: string, at: number) =>
    journal.some(
      ({ kind, target, to }) => target === where && kind.startsWith('node') && to + settlingMs > at - everyMs,
    );

  const timer = setInterval(() => {
    nodes.forEach((node, n) => {
      // One that does not answer is dead, or stopped.
      if (node.process.ready) measure(node, n).catch(() => {});
    });
  }, everyMs);
  return {
    get load() {
      return { memoryBytes, loopDelayMs };
    },
    stop() {
      clearInterval(timer);
      return violations;
    },
  };
}
