import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  allows,
  durationOf,
  nextDue,
  percentComplete,
  resumedAt,
  type StreamAction,
  type StreamState,
  splitAt,
  stateAt,
  streamStates,
  type Vesting,
  vestedAt,
  withdrawableAt,
} from '../../src/streams/machine.ts';

const start = Date.parse('2030-01-01T00:00:00Z');

const fresh = (amountSats: bigint, duration: number): Vesting => ({
  amountSats,
  starts: start,
  ends: start + duration,
  pausedAt: null,
  pausedTotal: 0,
  withdrawnSats: 0n,
  cancelledVestedSats: null,
});

const anAmount = fc.bigInt({ min: 1n, max: 2_100_000_000_000_000n });
const aDuration = fc.integer({ min: 1, max: 100 * 365 * 86_400_000 });

/** A stream that is not cancelled, whatever of it has been paid out, and however often it was paused. */
const running: fc.Arbitrary<Vesting> = fc
  .tuple(anAmount, aDuration, fc.nat(1_000_000), fc.nat(100))
  .map(([amount, duration, pausedTotal, percent]) => {
    const stream = fresh(amount, duration);
    return {
      ...stream,
      pausedTotal,
      ends: stream.ends + pausedTotal,
      withdrawnSats: (vestedAt(stream, start + duration) * BigInt(percent)) / 100n,
    };
  });

/** A stream, and a position from well before its start until well behind its end. */
const placed = running.chain((stream) => {
  const length = stream.ends - stream.starts;
  return fc.tuple(fc.constant(stream), fc.integer({ min: start - length, max: stream.ends + length }));
});

/** A stream that vests, and a position at which it does. */
const active = running
  .filter(({ withdrawnSats, amountSats, pausedTotal }) => withdrawnSats < amountSats && pausedTotal === 0)
  .chain((stream) => fc.tuple(fc.constant(stream), fc.integer({ min: stream.starts, max: stream.ends - 1 })));

/** A stream of whose vested part a share was paid out, and where it stands now. */
const partlyPaid = fc
  .tuple(anAmount, aDuration, fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(100))
  .map(([amount, duration, share, percent]) => {
    const stream = fresh(amount, duration);
    const at = start + Math.min(Math.floor(duration * share), duration - 1);
    return [{ ...stream, withdrawnSats: (vestedAt(stream, at) * BigInt(percent)) / 100n }, at] as const;
  })
  .filter(([stream, at]) => stateAt(stream, at) === 'ACTIVE');

describe('vesting', () => {
  it('is floor(amount × elapsed / duration)', () => {
    expect(vestedAt(fresh(10n, 3), start + 1)).toBe(3n);
    expect(vestedAt(fresh(10n, 3), start + 2)).toBe(6n);
    expect(vestedAt(fresh(1n, 1_000), start + 999)).toBe(0n);
    fc.assert(
      fc.property(
        anAmount,
        aDuration,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (amount, duration, share) => {
          const elapsed = Math.floor(duration * share);
          const vested = vestedAt(fresh(amount, duration), start + elapsed);
          // The largest whole number that is not above the exact share.
          expect(vested * BigInt(duration) <= amount * BigInt(elapsed)).toBe(true);
          expect((vested + 1n) * BigInt(duration) > amount * BigInt(elapsed)).toBe(true);
        },
      ),
    );
  });

  it('is nothing up to the start, and all from the end on', () => {
    fc.assert(
      fc.property(anAmount, aDuration, fc.nat(1_000_000), (amount, duration, off) => {
        expect(vestedAt(fresh(amount, duration), start - off)).toBe(0n);
        expect(vestedAt(fresh(amount, duration), start + duration + off)).toBe(amount);
      }),
    );
  });

  it('never goes back, and never leaves what lies between nothing and all', () => {
    fc.assert(
      fc.property(placed, fc.nat(1_000_000_000), ([stream, at], later) => {
        const vested = vestedAt(stream, at);
        expect(vested >= 0n && vested <= stream.amountSats).toBe(true);
        expect(vestedAt(stream, at + later) >= vested).toBe(true);
      }),
    );
  });

  it('keeps what was paid out, also where a clock is behind that of whoever paid it', () => {
    fc.assert(
      fc.property(placed, ([stream, at]) => {
        expect(withdrawableAt(stream, at) >= 0n).toBe(true);
        const { owed, refund, fee } = splitAt(stream, at, 100);
        expect(stream.withdrawnSats + owed + refund + fee).toBe(stream.amountSats);
      }),
    );
  });
});

describe('percent', () => {
  it('is between 0 and 100, in hundredths, rounded down', () => {
    fc.assert(
      fc.property(placed, ([stream, at]) => {
        const percent = percentComplete(stream, at);
        const hundredths = Math.round(percent * 100);
        expect(percent).toBe(hundredths / 100);
        const exact = vestedAt(stream, at) * 10_000n;
        expect(BigInt(hundredths) * stream.amountSats <= exact).toBe(true);
        expect(BigInt(hundredths + 1) * stream.amountSats > exact).toBe(true);
        expect(percent === 100).toBe(vestedAt(stream, at) === stream.amountSats);
      }),
    );
  });

  it('is never 100 by a cancel, and stays what it was', () => {
    fc.assert(
      fc.property(partlyPaid, fc.nat(10_000), fc.nat(1_000_000_000), ([stream, at], points, later) => {
        const { vested } = splitAt(stream, at, points);
        const cancelled = { ...stream, cancelledVestedSats: vested, withdrawnSats: vested };
        expect(percentComplete(cancelled, at + later)).toBe(percentComplete(stream, at));
        expect(percentComplete(cancelled, at + later)).toBeLessThan(100);
        expect(withdrawableAt(cancelled, at + later)).toBe(0n);
      }),
    );
  });
});

describe('a cancel', () => {
  it('gives every sat to one of four: withdrawn + owed + refund + fee = amount', () => {
    fc.assert(
      fc.property(partlyPaid, fc.nat(10_000), ([stream, at], points) => {
        const { vested, unvested, owed, refund, fee } = splitAt(stream, at, points);
        expect(stream.withdrawnSats + owed + refund + fee).toBe(stream.amountSats);
        expect(vested + unvested).toBe(stream.amountSats);
        expect(owed).toBe(withdrawableAt(stream, at));
        for (const part of [owed, refund, fee]) expect(part >= 0n).toBe(true);
        expect(fee).toBe((unvested * BigInt(points)) / 10_000n);
      }),
    );
  });

  it('costs the floor of its basis points: what is below a sat is free', () => {
    expect(splitAt(fresh(99n, 10), start, 100)).toMatchObject({ fee: 0n, refund: 99n });
    expect(splitAt(fresh(100n, 10), start, 100)).toMatchObject({ fee: 1n, refund: 99n });
  });
});

describe('a pause', () => {
  it('moves the end by its length, keeps the time of vesting, and never changes what has vested', () => {
    fc.assert(
      fc.property(
        active,
        fc.array(fc.tuple(fc.nat(1_000_000), fc.nat(1_000_000))),
        ([stream, at], pauses) => {
          let now = at;
          let current = stream;
          for (const [length, further] of pauses) {
            const before = vestedAt(current, now);
            const paused = { ...current, pausedAt: now };
            expect(vestedAt(paused, now + length)).toBe(before);
            const resumed = resumedAt(paused, now + length);
            expect(resumed.ends).toBe(current.ends + length);
            expect(resumed.pausedAt).toBeNull();
            expect(durationOf(resumed)).toBe(durationOf(current));
            now += length;
            expect(vestedAt(resumed, now)).toBe(before);
            expect(vestedAt(resumed, resumed.ends)).toBe(stream.amountSats);
            now = Math.min(now + further, resumed.ends - 1);
            current = resumed;
          }
        },
      ),
    );
  });

  it('has no length on a clock that was put back', () => {
    const stream = { ...fresh(10n, 10), pausedAt: start + 5 };
    expect(resumedAt(stream, start + 3)).toEqual({ ...stream, pausedAt: null });
  });
});

describe('states', () => {
  /** What may be done in each. */
  const may: Readonly<Record<StreamState, readonly StreamAction[]>> = {
    SCHEDULED: ['CANCEL', 'TRANSFER'],
    ACTIVE: ['WITHDRAW', 'SETTLE', 'PAUSE', 'CANCEL', 'TRANSFER'],
    PAUSED: ['WITHDRAW', 'SETTLE', 'RESUME', 'CANCEL', 'TRANSFER'],
    VESTED: ['WITHDRAW', 'SETTLE'],
    CANCELLED: [],
    DEPLETED: [],
  };
  const actions: readonly StreamAction[] = ['WITHDRAW', 'SETTLE', 'PAUSE', 'RESUME', 'CANCEL', 'TRANSFER'];

  it.each(streamStates)('%s allows what it must, and nothing else', (state) => {
    expect(actions.filter((action) => allows(state, action)).sort()).toEqual([...may[state]].sort());
  });

  type Step = { readonly wait: number; readonly act: StreamAction };
  const steps = fc.array(fc.record({ wait: fc.nat(40), act: fc.constantFrom<StreamAction>(...actions) }), {
    maxLength: 30,
  });

  it('are those of a plain model that counts one tick after another', () => {
    fc.assert(
      fc.property(
        steps,
        fc.integer({ min: -20, max: 20 }),
        fc.integer({ min: 1, max: 100 }),
        (all, delay, duration) => {
          const amount = 1_000n;
          let stream: Vesting = {
            ...fresh(amount, duration),
            starts: start + delay,
            ends: start + delay + duration,
          };
          // The model: how many ticks it has vested, and a name for where it stands.
          let now = start;
          let ticks = Math.max(0, -delay);
          let isPaused = false;
          let isCancelled = false;
          let paid = 0n;
          const modelled = (): StreamState => {
            if (isCancelled) return 'CANCELLED';
            if (paid === amount) return 'DEPLETED';
            if (isPaused) return 'PAUSED';
            if (now < start + delay) return 'SCHEDULED';
            return ticks >= duration ? 'VESTED' : 'ACTIVE';
          };
          for (const { wait, act } of all as readonly Step[]) {
            for (let tick = 0; tick < wait; tick += 1) {
              if (now >= start + delay && !isPaused && !isCancelled) ticks += 1;
              now += 1;
            }
            expect(stateAt(stream, now)).toBe(modelled());
            const due = nextDue(stream, now);
            if (modelled() === 'SCHEDULED') expect(due).toBe(start + delay);
            else if (modelled() === 'ACTIVE') expect(due).toBe(now + duration - ticks);
            else expect(due === null).toBe(modelled() !== 'VESTED');
            if (!allows(modelled(), act)) continue;
            const vested = (amount * BigInt(Math.min(ticks, duration))) / BigInt(duration);
            if (act === 'WITHDRAW' || act === 'SETTLE') {
              paid = vested;
              stream = { ...stream, withdrawnSats: vestedAt(stream, now) };
            }
            if (act === 'PAUSE') {
              isPaused = true;
              stream = { ...stream, pausedAt: now };
            }
            if (act === 'RESUME') {
              isPaused = false;
              stream = resumedAt(stream as Vesting & { pausedAt: number }, now);
            }
            if (act === 'CANCEL') {
              isCancelled = true;
              stream = { ...stream, cancelledVestedSats: vestedAt(stream, now) };
            }
            expect(vestedAt(stream, now)).toBe(vested);
          }
        },
      ),
    );
  });
});
