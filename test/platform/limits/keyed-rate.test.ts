import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Bus } from '../../../src/platform/bus/bus.ts';
import { createInProcessBus } from '../../../src/platform/bus/in-process.ts';
import { createKeyedRate, createSharedRate } from '../../../src/platform/limits/keyed-rate.ts';
import { standingClock } from '../../support/clock.ts';

const perMinute = (amount: number) => ({ amount, perMs: 60_000, burst: amount });

describe('a bucket for each key', () => {
  it('is refused alone, with the time until it gives again', () => {
    const clock = standingClock();
    const rate = createKeyedRate({ clock, ...perMinute(60) });
    expect(rate.take('alice', 50)).toBe(0);
    expect(rate.take('alice', 20)).toBe(10_000);
    expect(rate.take('alice', 10)).toBe(0);
    expect(rate.take('bob', 60)).toBe(0);
    expect(rate.take('alice', 1)).toBe(1_000);
    clock.advance(1_000);
    expect(rate.take('alice', 1)).toBe(0);
  });

  it('is forgotten once it is full', () => {
    const clock = standingClock();
    const rate = createKeyedRate({ clock, ...perMinute(60) });
    for (let n = 0; n < 1_000; n += 1) rate.take(`key ${n}`, 1);
    expect(rate.size).toBe(1_000);
    clock.advance(1_001);
    for (let n = 0; n < 1_000; n += 1) rate.take('one', 0);
    expect(rate.size).toBeLessThan(5);
  });

  it('takes no more memory, however many keys there are, and stays with those that are in use', () => {
    const rate = createKeyedRate({ clock: standingClock(), ...perMinute(2) });
    for (let n = 0; n < 60_000; n += 1) {
      rate.take(`key ${n}`, 1);
      if (n % 1_000 === 0) rate.drain('in use', 2);
    }
    expect(rate.size).toBe(50_000);
    expect(rate.take('in use', 1)).toBeGreaterThan(0);
    expect(rate.take('key 0', 2)).toBe(0);
  });
});

describe('a rate that nodes share', () => {
  const closing: Array<{ close(): void }> = [];
  let bus: Bus;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    bus = createInProcessBus();
  });

  afterEach(() => {
    for (const each of closing.splice(0)) each.close();
    vi.useRealTimers();
  });

  async function openNode(amount: number, on = bus) {
    const clock = standingClock();
    const node = await createSharedRate({ clock, ...perMinute(amount) }, on, 'mutations');
    closing.push(node);
    return node;
  }

  it('counts what the others have granted', async () => {
    const here = await openNode(10);
    const there = await openNode(10);
    expect(here.take('viewer:alice', 4)).toBe(0);
    expect(here.take('viewer:alice', 3)).toBe(0);
    expect(there.take('viewer:alice', 10)).toBe(0);
    vi.advanceTimersByTime(250);
    expect(here.take('viewer:alice', 1)).toBeGreaterThan(0);
    expect(there.take('viewer:alice', 1)).toBeGreaterThan(0);
    expect(here.take('viewer:bob', 10)).toBe(0);
    vi.advanceTimersByTime(250);
    expect(there.take('viewer:bob', 1)).toBe(6_000);
  });

  it('tells what was granted once, and nothing of what was refused, nor any name', async () => {
    const here = await openNode(5);
    const heard: string[] = [];
    await bus.listen('mutations', (message) => heard.push(JSON.stringify(message)));
    expect(here.take('viewer:alice', 5)).toBe(0);
    expect(here.take('viewer:alice', 5)).toBe(60_000);
    vi.advanceTimersByTime(10_000);
    expect(heard).toHaveLength(1);
    expect(heard[0]).toMatch(/"numbers":"[\w-]{16}=5"/);
    expect(heard[0]).not.toContain('alice');
  });

  it('goes on without the others', async () => {
    const away = createInProcessBus(false);
    const here = await openNode(2, away);
    expect(here.take('a', 2)).toBe(0);
    vi.advanceTimersByTime(1_000);
    expect(here.take('a', 1)).toBe(30_000);
    expect(here.take('b', 2)).toBe(0);
  });

  it('is none with an amount of 0', async () => {
    const here = await openNode(0);
    const heard: unknown[] = [];
    await bus.listen('mutations', (message) => heard.push(message));
    for (let n = 0; n < 1_000; n += 1) expect(here.take('a', 30)).toBe(0);
    vi.advanceTimersByTime(1_000);
    expect(heard).toEqual([]);
  });

  it('tells what belongs to many keys in messages that Redis takes, and bounds how many those are', async () => {
    const here = await openNode(10);
    const there = await openNode(10);
    const lengths: number[] = [];
    await bus.listen('mutations', (message) => lengths.push(JSON.stringify(message).length));
    for (let n = 0; n < 25_000; n += 1) here.take(`key ${n}`, 10);
    vi.advanceTimersByTime(250);
    expect(lengths).toHaveLength(20);
    expect(Math.max(...lengths)).toBeLessThan(65_536);
    expect(there.take('key 0', 1)).toBeGreaterThan(0);
    expect(there.take('key 19999', 1)).toBeGreaterThan(0);
    expect(there.take('key 20000', 10)).toBe(0);
  });

  it('is told nothing after it has been closed', async () => {
    const here = await openNode(3);
    const there = await openNode(3);
    there.close();
    here.take('a', 3);
    vi.advanceTimersByTime(1_000);
    expect(there.take('a', 3)).toBe(0);
  });
});
