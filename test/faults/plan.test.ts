import { expect, it } from 'vitest';
import type { JournalEntry } from './nemesis.ts';
import { expiredUntil, revokedUntil } from './rights.ts';
import { planFaults } from './schedule.ts';

const targets = { node: 3, client: 4, guest: 16 };

it('plans the same faults for the same seed, and others for another', () => {
  const plan = planFaults(7, 100, 1_300, targets);
  expect(planFaults(7, 100, 1_300, targets)).toEqual(plan);
  expect(planFaults(8, 100, 1_300, targets)).not.toEqual(plan);
});

it('plans every kind of fault, at what there is, one after the other', () => {
  const plan = planFaults(7, 100, 1_300, targets);
  expect(plan).toHaveLength(100);
  expect(new Set(plan.map(({ kind }) => kind)).size).toBe(22);
  for (const { kind, target, forMs } of plan) {
    expect(target).toBeLessThan(kind.startsWith('node') ? targets.node : targets.guest);
    expect(forMs).toBeLessThan(3_000);
  }
  const times = plan.map(({ atMs }) => atMs);
  expect(times).toEqual([...times].sort((one, other) => one - other));
});

it('gives a right a second to end, and does not count the time in which a node cannot know', () => {
  const from = 10_000;
  const during = (kind: JournalEntry['kind'], begin: number, to: number): JournalEntry => ({
    kind,
    target: 'node 1',
    from: begin,
    to,
  });
  expect(revokedUntil(from, [], 0)).toBe(11_000);
  expect(revokedUntil(from, [], 500)).toBe(11_500);
  expect(revokedUntil(from, [during('Redis stopped', 9_000, 20_000)], 0)).toBe(11_000);
  expect(revokedUntil(from, [during('node stopped', 10_500, 12_000)], 0)).toBe(13_000);
  expect(revokedUntil(from, [during('node stopped', 11_500, 12_000)], 0)).toBe(11_000);
  const both = [
    during('Postgres connections stalled', 12_500, 14_000),
    during('node stopped', 9_000, 12_000),
  ];
  expect(revokedUntil(from, both, 0)).toBe(15_000);
});

it('lets a token end by the clock that is least ahead, behind its grace', () => {
  expect(expiredUntil({ expiresAtMs: 100_000, leastAheadMs: 20_000 }, [], 0)).toBe(106_000);
});
