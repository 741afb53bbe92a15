import { randomFrom } from '../support/random.ts';

/** What the nemesis does, how often beside the others, and for how long at most; ms. */
const kinds = {
  'client sockets cut': { share: 3, longestMs: 0, target: 'node' },
  'client sockets stalled': { share: 2, longestMs: 2_500, target: 'node' },
  'client stopped': { share: 2, longestMs: 3_000, target: 'client' },
  'client killed': { share: 2, longestMs: 0, target: 'client' },
  'node stopped': { share: 2, longestMs: 2_500, target: 'node' },
  'node killed': { share: 3, longestMs: 500, target: 'node' },
  'node drained': { share: 1, longestMs: 0, target: 'node' },
  'Redis restarted': { share: 2, longestMs: 2_000, target: 'one' },
  'Redis stopped': { share: 1, longestMs: 2_500, target: 'one' },
  'Redis paused': { share: 1, longestMs: 2_500, target: 'one' },
  'Redis subscribers killed': { share: 2, longestMs: 0, target: 'one' },
  'Redis connections cut': { share: 1, longestMs: 0, target: 'node' },
  'Redis connections stalled': { share: 2, longestMs: 3_000, target: 'node' },
  'Postgres backends terminated': { share: 2, longestMs: 0, target: 'one' },
  'Postgres connections cut': { share: 2, longestMs: 0, target: 'node' },
  'Postgres connections stalled': { share: 1, longestMs: 2_000, target: 'node' },
  'token revoked': { share: 2, longestMs: 0, target: 'guest' },
  'user revoked': { share: 1, longestMs: 0, target: 'guest' },
  'signed out': { share: 2, longestMs: 0, target: 'guest' },
  'token short-lived': { share: 2, longestMs: 0, target: 'guest' },
  'clock of a node moved': { share: 1, longestMs: 0, target: 'node' },
  'all clocks moved': { share: 1, longestMs: 0, target: 'one' },
} as const;

export type FaultKind = keyof typeof kinds;

/** A fault: when it begins, behind the start (ms), at what, and for how long (ms). */
export interface PlannedFault {
  readonly atMs: number;
  readonly kind: FaultKind;
  /** Which node, client or guest, from 0. */
  readonly target: number;
  readonly forMs: number;
}

/** How many there are of what faults are aimed at. */
export type Targets = Readonly<Record<'node' | 'client' | 'guest', number>>;

const shortestMs = 200;

/** The faults of a seed, in order. Each kind comes as often as its share says before any comes more often. */
export function planFaults(seed: number, faults: number, everyMs: number, targets: Targets): PlannedFault[] {
  const random = randomFrom(seed);
  const plan: PlannedFault[] = [];
  let deck: FaultKind[] = [];
  let atMs = 0;
  while (plan.length < faults) {
    if (deck.length === 0) deck = shuffled(fullDeck(), random.below);
    const kind = deck.pop() as FaultKind;
    const { longestMs, target } = kinds[kind];
    atMs += Math.floor(everyMs / 2) + random.below(everyMs);
    plan.push({
      atMs,
      kind,
      target: target === 'one' ? 0 : random.below(targets[target]),
      forMs: longestMs === 0 ? 0 : shortestMs + random.below(longestMs - shortestMs),
    });
  }
  return plan;
}

const fullDeck = (): FaultKind[] =>
  Object.entries(kinds).flatMap(([kind, { share }]) => Array<FaultKind>(share).fill(kind as FaultKind));

function shuffled<Item>(items: Item[], below: (limit: number) => number): Item[] {
  for (let last = items.length - 1; last > 0; last -= 1) {
    const other = below(last + 1);
    [items[last], items[other]] = [items[other] as Item, items[last] as Item];
  }
  return items;
}
