import { afterEach, describe, expect, it } from 'vitest';
import type { Viewer } from '../../src/platform/auth/viewer.ts';
import { createInProcessBus } from '../../src/platform/bus/in-process.ts';
import {
  type ConnectionCounts,
  createConnectionCounts,
} from '../../src/platform/limits/connection-counts.ts';
import { createKeyedRate } from '../../src/platform/limits/keyed-rate.ts';
import {
  beginningRate,
  createConnectionLimits,
  refusedUpgradeResponse,
} from '../../src/transport/connection-limits.ts';
import { standingClock } from '../support/clock.ts';
import { anonymous } from '../support/viewers.ts';

const open: ConnectionCounts[] = [];

afterEach(() => {
  for (const counts of open.splice(0)) counts.close();
});

async function createLimits(perAddress: number, perViewer: number) {
  const clock = standingClock();
  const counts = await createConnectionCounts({ bus: createInProcessBus(), clock });
  open.push(counts);
  const beginnings = createKeyedRate({ clock, ...beginningRate(perAddress) });
  return { clock, limits: createConnectionLimits({ counts, beginnings, perAddress, perViewer }) };
}

const holderOf = (id: string): Viewer => ({ user: undefined, objects: new Set([id]), bearerObject: id });
const tooMany = { retryAfterSeconds: 5 };

describe('upgrades', () => {
  it('are refused to an address that has too many connections, until one is gone', async () => {
    const { limits } = await createLimits(2, 0);
    const first = limits.upgrade('203.0.113.7') as () => void;
    expect(limits.upgrade('203.0.113.7')).toBeTypeOf('function');
    expect(limits.upgrade('203.0.113.7')).toEqual(tooMany);
    expect(limits.upgrade('203.0.113.8')).toBeTypeOf('function');
    first();
    expect(limits.upgrade('203.0.113.7')).toBeTypeOf('function');
    expect(limits.upgrade('203.0.113.7')).toEqual(tooMany);
  });

  it('are never refused where addresses are not counted, or without a limit', async () => {
    const { limits } = await createLimits(1, 1);
    for (let n = 0; n < 2_000; n += 1) expect(limits.upgrade(undefined)).toBeTypeOf('function');
    const { limits: none } = await createLimits(0, 0);
    for (let n = 0; n < 2_000; n += 1) expect(none.upgrade('203.0.113.7')).toBeTypeOf('function');
  });

  it('that come in a flood are refused, however soon each is gone', async () => {
    const { limits, clock } = await createLimits(2, 0);
    const begin = () => {
      const begun = limits.upgrade('203.0.113.7');
      if (typeof begun === 'function') begun();
      return begun;
    };
    for (let n = 0; n < 1_200; n += 1) expect(begin()).toBeTypeOf('function');
    expect(begin()).toEqual({ retryAfterSeconds: 1 });
    clock.advance(1_000);
    expect(begin()).toBeTypeOf('function');
  });

  it('may come faster where more connections are allowed', () => {
    expect([200, 1_000, 0].map((limit) => beginningRate(limit).amount)).toEqual([1_200, 6_000, 0]);
  });

  it('are refused with 429, and when to come back', () => {
    expect(refusedUpgradeResponse({ retryAfterSeconds: 7 })).toBe(
      'HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
    );
  });
});

it('refuses sockets of a viewer who has too many, and counts nobody who is not known', async () => {
  const { limits } = await createLimits(0, 2);
  const first = limits.viewer(holderOf('job_1'));
  expect(limits.viewer(holderOf('job_1'))).toBeDefined();
  expect(limits.viewer(holderOf('job_1'))).toBeUndefined();
  expect(limits.viewer(holderOf('job_2'))).toBeDefined();
  first?.();
  expect(limits.viewer(holderOf('job_1'))).toBeDefined();
  for (let n = 0; n < 5; n += 1) limits.viewer(anonymous)?.();
  for (let n = 0; n < 5; n += 1) expect(limits.viewer(anonymous)).toBeDefined();
});

describe('streams', () => {
  it('count with the sockets of their address and of their viewer', async () => {
    const { limits } = await createLimits(3, 2);
    limits.upgrade('203.0.113.7');
    limits.viewer(holderOf('job_1'));
    const release = limits.stream('203.0.113.7', holderOf('job_1'));
    const refusedToViewer = { code: 'RATE_LIMITED', details: { retryAfterMs: 5_000 } };
    expect(() => limits.stream('203.0.113.7', holderOf('job_1'))).toThrow(
      expect.objectContaining({ ...refusedToViewer, message: 'Too many connections of this caller.' }),
    );
    // One that was refused for its viewer does not count for its address.
    const other = limits.stream('203.0.113.7', holderOf('job_2'));
    expect(() => limits.stream('203.0.113.7', anonymous)).toThrow(
      expect.objectContaining({
        code: 'RATE_LIMITED',
        message: 'Too many connections from this address.',
        details: { retryAfterMs: 5_000 },
      }),
    );
    release();
    other();
    expect(limits.stream('203.0.113.7', holderOf('job_1'))).toBeDefined();
    expect(limits.stream('203.0.113.7', anonymous)).toBeDefined();
  });
});
