import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ConnectionListener, createConnections } from '../../../src/platform/auth/connections.ts';
import type { Viewer } from '../../../src/platform/auth/viewer.ts';
import { type Clock, systemClock } from '../../../src/platform/clock.ts';
import { standingClock } from '../../support/clock.ts';
import { anonymous } from '../../support/viewers.ts';

const day = 24 * 3_600_000;

/** A user whose token lasts for this long; ms. */
function userFor(lasts: number, tokenId = 'a token', now = Date.now()): Viewer {
  const user = { id: 'usr_a', roles: [], tokenId, issuedAt: new Date(now), expiresAt: new Date(now + lasts) };
  return { ...anonymous, user };
}

/** All that a connection's listener was told, in order. */
function listen(): { told: string[]; listener: ConnectionListener } {
  const told: string[] = [];
  return {
    told,
    listener: {
      ended: (reason) => told.push(reason),
      expiring: (ms) => told.push(`expires in ${ms}`),
      refreshed: () => told.push('refreshed'),
    },
  };
}

const opened: Array<ReturnType<typeof createConnections>> = [];

function build(clock: Clock = systemClock) {
  const connections = createConnections({ clock });
  opened.push(connections);
  return connections;
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  for (const each of opened.splice(0)) each.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe('a token', () => {
  it('is warned of 30 seconds before its end, and has 25 of grace behind it', () => {
    const connections = build();
    const { told, listener } = listen();
    const connection = connections.open(userFor(60_000), listener);
    const state = () => [told, connection.isExpired, connection.isOver, connections.size];
    vi.advanceTimersByTime(29_999);
    expect(state()).toEqual([[], false, false, 1]);
    vi.advanceTimersByTime(1);
    expect(state()).toEqual([['expires in 30000'], false, false, 1]);
    vi.advanceTimersByTime(29_999);
    expect(state()).toEqual([['expires in 30000'], false, false, 1]);
    vi.advanceTimersByTime(1);
    expect(state()).toEqual([['expires in 30000'], true, false, 1]);
    vi.advanceTimersByTime(24_999);
    expect(state()).toEqual([['expires in 30000'], true, false, 1]);
    vi.advanceTimersByTime(1);
    expect(state()).toEqual([['expires in 30000', 'TOKEN_EXPIRED'], true, true, 0]);
  });

  it('that lasts for years is warned of and ends like another', () => {
    const connections = build();
    const { told, listener } = listen();
    const clock = standingClock(Date.now());
    const later = build(clock);
    connections.open(userFor(400 * 365 * day), listener);
    later.open(userFor(400 * 365 * day), listener);
    clock.advance(400 * 365 * day - 30_001);
    vi.advanceTimersByTime(day);
    expect(told).toEqual([]);
    clock.advance(1);
    vi.advanceTimersByTime(1_000);
    clock.advance(55_000);
    vi.advanceTimersByTime(1_000);
    expect(told).toEqual(['expires in 30000', 'TOKEN_EXPIRED']);
  });

  it('goes by the clock that is given, whichever way that jumps', () => {
    const clock = standingClock(Date.now());
    const connections = build(clock);
    const { told, listener } = listen();
    const connection = connections.open(userFor(60_000), listener);
    vi.advanceTimersByTime(day);
    expect(told).toEqual([]);
    clock.advance(70_000);
    vi.advanceTimersByTime(1_000);
    expect([told, connection.isExpired]).toEqual([['expires in 0'], true]);
    clock.advance(-65_000);
    vi.advanceTimersByTime(1_000);
    expect([told, connection.isExpired]).toEqual([['expires in 0'], false]);
    clock.advance(day);
    vi.advanceTimersByTime(1_000);
    expect(told).toEqual(['expires in 0', 'TOKEN_EXPIRED']);
  });

  it('ends without a warning when the clock jumps over its time of grace', () => {
    const clock = standingClock(Date.now());
    const { told, listener } = listen();
    build(clock).open(userFor(60_000), listener);
    clock.advance(85_000);
    vi.advanceTimersByTime(1_000);
    expect(told).toEqual(['TOKEN_EXPIRED']);
  });

  it('is not needed by nobody, nor by the holder of access tokens', () => {
    const connections = build(standingClock(8.64e15));
    const { told, listener } = listen();
    const nobody = connections.open(anonymous, listener);
    connections.open({ ...anonymous, objects: new Set(['job_x']) }, listener);
    vi.advanceTimersByTime(5_000);
    expect([told, nobody.isExpired, connections.size]).toEqual([[], false, 2]);
  });

  it('need not be told of to a listener that does not care, and ends without one', () => {
    const connections = build();
    const told: string[] = [];
    connections.open(userFor(60_000), { ended: (reason) => told.push(reason) }).refresh(userFor(60_000));
    connections.open(userFor(60_000)).refresh(userFor(60_000));
    vi.advanceTimersByTime(85_000);
    expect([told, connections.size]).toEqual([['TOKEN_EXPIRED'], 0]);
  });

  it('is not looked after once the connections are closed', () => {
    const connections = build();
    const { told, listener } = listen();
    connections.open(userFor(60_000), listener);
    connections.close();
    vi.advanceTimersByTime(day);
    expect([told, connections.size]).toEqual([[], 1]);
  });
});

describe('a refresh', () => {
  it('puts another viewer in the place, whose token is warned of and ends in its own time', () => {
    const connections = build();
    const { told, listener } = listen();
    const connection = connections.open(userFor(60_000), listener, true);
    vi.advanceTimersByTime(70_000);
    expect([told, connection.isExpired]).toEqual([['expires in 30000'], true]);
    const viewer = userFor(60_000, 'another');
    connection.refresh(viewer);
    expect([connection.viewer, connection.isExpired, connection.isSocket]).toEqual([viewer, false, true]);
    vi.advanceTimersByTime(85_000);
    const of = ['expires in 30000', 'refreshed', 'expires in 30000', 'TOKEN_EXPIRED'];
    expect(told).toEqual(of);
  });

  it('to a token that ends sooner is warned of anew', () => {
    const connections = build();
    const { told, listener } = listen();
    const connection = connections.open(userFor(day), listener);
    connection.refresh(userFor(10_000, 'short'));
    vi.advanceTimersByTime(35_000);
    expect(told).toEqual(['refreshed', 'expires in 9000', 'TOKEN_EXPIRED']);
  });

  it('brings nothing back that is over', () => {
    const connections = build();
    const { told, listener } = listen();
    const viewer = userFor(60_000);
    const connection = connections.open(viewer, listener);
    connection.end('TOKEN_REVOKED');
    connection.refresh(userFor(day, 'another'));
    expect([told, connection.viewer, connections.size]).toEqual([['TOKEN_REVOKED'], viewer, 0]);
  });
});

describe('the end of a connection', () => {
  it('comes once, and its listener is told why before its operations are over', () => {
    const connections = build();
    const { told, listener } = listen();
    const connection = connections.open(userFor(60_000), listener);
    connection.onOver(() => told.push('over'));
    connection.end('REPLACED');
    connection.end('TOKEN_REVOKED');
    connection.closed();
    vi.advanceTimersByTime(day);
    expect(told).toEqual(['REPLACED', 'over']);
    expect([connection.isOver, connections.size]).toEqual([true, 0]);
  });

  it('is not told to the listener when the peer has gone', () => {
    const connections = build();
    const { told, listener } = listen();
    const connection = connections.open(userFor(60_000), listener);
    connection.onOver(() => told.push('over'));
    connection.closed();
    connection.closed();
    connection.end('TOKEN_REVOKED');
    expect([told, connection.isOver, connections.size]).toEqual([['over'], true, 0]);
  });

  it('is told to whoever has not forgotten it, and at once to who comes too late', () => {
    const connection = build().open(anonymous);
    const told: string[] = [];
    const forget = connection.onOver(() => told.push('forgotten'));
    connection.onOver(() => told.push('one'));
    const forgetTwo = connection.onOver(() => told.push('two'));
    forget();
    forget();
    connection.closed();
    forgetTwo();
    expect(told).toEqual(['one', 'two']);
    const forgetLate = connection.onOver(() => told.push('late'));
    forgetLate();
    expect([told, connection.isOver]).toEqual([['one', 'two', 'late'], true]);
  });
});

describe('all connections', () => {
  const ofToken =
    (tokenId: string) =>
    ({ user }: Viewer) =>
      user?.tokenId === tokenId;

  it('are ended by choice', () => {
    const connections = build();
    const first = listen();
    const second = listen();
    connections.open(userFor(60_000, 'one'), first.listener);
    connections.open(userFor(60_000, 'two'), second.listener);
    connections.open(anonymous);
    connections.revoke(ofToken('one'));
    expect([first.told, second.told, connections.size]).toEqual([['TOKEN_REVOKED'], [], 2]);
    connections.open(anonymous);
    expect(connections.size).toBe(3);
  });

  it('are ended by a revocation also when they open, or are refreshed, right after it', () => {
    const connections = build();
    const late = listen();
    const refreshed = listen();
    const other = listen();
    const socket = connections.open(userFor(day, 'two'), refreshed.listener, true);
    connections.open(userFor(day, 'three'), other.listener, true).refresh(userFor(day, 'four'));
    connections.revoke(ofToken('one'));
    vi.advanceTimersByTime(30_000);
    const opened = connections.open(userFor(day, 'one'), late.listener);
    socket.refresh(userFor(day, 'one'));
    expect([late.told, refreshed.told]).toEqual([['TOKEN_REVOKED'], ['TOKEN_REVOKED']]);
    expect([opened.isOver, socket.isOver, other.told, connections.size]).toEqual([
      true,
      true,
      ['refreshed'],
      1,
    ]);
  });

  it('do not hold what was revoked against anyone for ever: the database knows it', () => {
    const connections = build();
    connections.revoke(ofToken('one'));
    vi.advanceTimersByTime(60_000);
    connections.open(userFor(day, 'one'));
    expect(connections.size).toBe(1);
  });

  it('are ended one after the other where there is time, each once', async () => {
    vi.useRealTimers();
    const connections = createConnections({ clock: systemClock });
    const told: number[] = [];
    for (let index = 0; index < 100; index += 1)
      connections.open(anonymous, { ended: () => told.push(index) });
    const drained = connections.drain(200);
    expect(told.length).toBeLessThan(100);
    await drained;
    expect([...told].sort((one, another) => one - another)).toEqual(Array.from({ length: 100 }, (_, n) => n));
    expect(connections.size).toBe(0);
    connections.close();
    vi.useFakeTimers();
  });

  it('are ended by a shutdown, and so is what comes after it', async () => {
    const connections = build();
    const before = listen();
    const after = listen();
    connections.open(anonymous, before.listener);
    await connections.drain(0);
    const late = connections.open(userFor(60_000), after.listener);
    expect([before.told, after.told]).toEqual([['SHUTDOWN'], ['SHUTDOWN']]);
    expect([late.isOver, connections.size]).toEqual([true, 0]);
  });
});
