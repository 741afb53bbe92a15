import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { now } from './clock.ts';

/** Linux counts CPU time in these; ms. */
const tickMs = 10;

/** CPU time of a process, ms: in its own code, and in the kernel for it. */
export interface Cpu {
  readonly userMs: number;
  readonly systemMs: number;
}

/** What a process has used since it began, with all of its threads. */
export function cpuOf(pid: number): Cpu {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name of the program, in brackets, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { userMs: Number(fields[11]) * tickMs, systemMs: Number(fields[12]) * tickMs };
}

/** What it has used since. */
export function cpuSince(pid: number, begin: Cpu): Cpu {
  const { userMs, systemMs } = cpuOf(pid);
  return { userMs: userMs - begin.userMs, systemMs: systemMs - begin.systemMs };
}

/** The resident memory of a process: now, or at its highest since it began; bytes. */
export function residentBytes(pid: number, when: 'now' | 'highest' = 'now'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const [, kibibytes] = (when === 'now' ? /^VmRSS:\s+(\d+)/m : /^VmHWM:\s+(\d+)/m).exec(status) ?? [];
  return Number(kibibytes) * 1024;
}

/** How many connections to a port of this machine its server has open. */
export function openConnections(port: number): number {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const established = '01';
  const count = () =>
    new Set(
      readFileSync('/proc/net/tcp', 'utf8')
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter((fields) => fields[1] === local && fields[3] === established)
        .map((fields) => fields[2]),
    ).size;
  // The kernel may leave out a line, or tell one twice, while others come and go.
  for (let last = count(); ; ) {
    const next = count();
    if (next === last) return next;
    last = next;
  }
}

/** Waits until a process has done nothing for 200 ms, and answers since when; ms of the machine's clock. */
export async function atRest(pid: number): Promise<number> {
  const restMs = 200;
  const used = () => {
    const { userMs, systemMs } = cpuOf(pid);
    return userMs + systemMs;
  };
  let since = now();
  let from = used();
  while (now() - since < restMs) {
    await pause(10);
    const to = used();
    // One tick may be what was begun before, or a timer.
    if (to - from <= tickMs) continue;
    since = now();
    from = to;
  }
  return since;
}
