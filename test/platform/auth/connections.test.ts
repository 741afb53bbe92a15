import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createConnections, type EndReason } from '../../../src/platform/auth/connections.ts';
import type { Viewer } from '../../../src/platform/auth/viewer.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { anonymous } from '../../support/viewers.ts';

const day = 24 * 3_600_000;

/** A user whose token lasts for this long; ms. */
function userFor(lasts: number, tokenId = 'a token'): Viewer {
  const now = Date.now();
  const user = { id: 'usr_a', roles: [], tokenId, issuedAt: new Date(now), expiresAt: new Date(now + lasts) };
  return { ...anonymous, user };
}

/** Why each connection was ended, in order. */
function listen(): { ended: EndReason[]; onEnd: (reason: EndReason) => void } {
  const ended: EndReason[] = [];
  return { ended, onEnd: (reason) => ended.push(reason) };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a connection', () => {
  it('ends when its token does, and not before', () => {
    const connections = createConnections({ clock: systemClock });
    const { ended, onEnd } = listen();
    const { signal } = connections.open(userFor(60_000), onEnd);
    vi.advanceTimersByTime(59_999);
    expect([ended, signal.aborted, connections.size]).toEqual([[], false, 1]);
    vi.advanceTimersByTime(1);
    expect([ended, signal.aborted, connections.size]).toEqual([['TOKEN_EXPIRED'], true, 0]);
  });

  it('ends when its token does, also when no timer reaches that far', () => {
    const connections = createConnections({ clock: systemClock });
    const { ended, onEnd } = listen();
    connections.open(userFor(60 * day), onEnd);
    vi.advanceTimersByTime(60 * day - 1);
    expect(ended).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(ended).toEqual(['TOKEN_EXPIRED']);
  });

  it('goes by the clock it is given, not by the timer', () => {
    let now = Date.now();
    const connections = createConnections({ clock: { now: () => now } });
    const { ended, onEnd } = listen();
    connections.open(userFor(60_000), onEnd);
    vi.advanceTimersByTime(100_000);
    expect(ended).toEqual([]);
    now += 60_000;
    vi.advanceTimersByTime(60_000);
    expect(ended).toEqual(['TOKEN_EXPIRED']);
  });

  it('ends at once when its token has expired since it was looked at', () => {
    const connections = createConnections({ clock: systemClock });
    const { ended, onEnd } = listen();
    const { signal } = connections.open(userFor(0), onEnd);
    expect([ended, signal.aborted, connections.size]).toEqual([['TOKEN_EXPIRED'], true, 0]);
  });

  it('of nobody, or of the holder of access tokens, does not expire', () => {
    const connections = createConnections({ clock: systemClock });
    const { ended, onEnd } = listen();
    connections.open(anonymous, onEnd);
    connections.open({ ...anonymous, objects: new Set(['job_x']) }, onEnd);
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(365 * day);
    expect([ended, connections.size]).toEqual([[], 2]);
  });

  it('is ended once, and told why before its operations are over', () => {
    const connections = createConnections({ clock: systemClock });
    const order: string[] = [];
    const connection = connections.open(userFor(60_000), (reason) => order.push(reason));
    connection.signal.addEventListener('abort', () => order.push('over'));
    connection.end('REPLACED');
    connection.end('TOKEN_REVOKED');
    vi.advanceTimersByTime(60_000);
    expect(order).toEqual(['REPLACED', 'over']);
  });

  it('is over when its peer has gone, of which it is not told', () => {
    const connections = createConnections({ clock: systemClock });
    const { ended, onEnd } = listen();
    const connection = connections.open(userFor(60_000), onEnd);
    connection.closed();
    connection.closed();
    connection.end('TOKEN_REVOKED');
    expect([ended, connection.signal.aborted, connections.size]).toEqual([[], true, 0]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('all connections', () => {
  it('are ended by choice', () => {
    const connections = createConnections({ clock: systemClock });
    const first = listen();
    const second = listen();
    connections.open(userFor(60_000, 'one'), first.onEnd);
    connections.open(userFor(60_000, 'two'), second.onEnd);
    connections.open(anonymous);
    connections.endWhere('TOKEN_REVOKED', ({ user }) => user?.tokenId === 'one');
    expect([first.ended, second.ended, connections.size]).toEqual([['TOKEN_REVOKED'], [], 2]);
    connections.open(anonymous);
    expect(connections.size).toBe(3);
  });

  it('are ended by a shutdown, and so is what comes after it', () => {
    const connections = createConnections({ clock: systemClock });
    const before = listen();
    const after = listen();
    connections.open(anonymous, before.onEnd);
    connections.endWhere('SHUTDOWN', () => true);
    const late = connections.open(userFor(60_000), after.onEnd);
    expect([before.ended, after.ended]).toEqual([['SHUTDOWN'], ['SHUTDOWN']]);
    expect([late.signal.aborted, connections.size, vi.getTimerCount()]).toEqual([true, 0, 0]);
  });
});
