import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRing } from '../../../src/platform/feed/ring.ts';
import type { LogRow } from '../../../src/platform/log/event.ts';

const row = (seq: number, text: string): LogRow => ({
  topic: 'ring',
  epoch: '0123456789ab',
  seq,
  event: { id: `evt_${seq}`, type: 'Tested', version: 1, facts: { text }, occurredAt: new Date(0) },
});

const bytesOf = ({ event }: LogRow) => Buffer.byteLength(JSON.stringify(event.facts));

const steps = fc.array(
  fc.oneof(
    { weight: 20, arbitrary: fc.record({ push: fc.string({ unit: 'grapheme', maxLength: 30 }) }) },
    { weight: 1, arbitrary: fc.record({ jump: fc.integer({ min: 0, max: 5 }) }) },
  ),
  { maxLength: 60 },
);

describe('a ring', () => {
  it('holds as many of the newest rows as fit, and at least one', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 300 }), (any, maximum) => {
        const ring = createRing(maximum);
        let head = 0;
        let model: LogRow[] = [];
        for (const step of any) {
          if ('jump' in step) {
            ring.clear();
            model = [];
            head += step.jump;
          } else {
            head += 1;
            const pushed = row(head, step.push);
            ring.push(pushed);
            model.push(pushed);
            while (model.length > 1 && model.reduce((sum, held) => sum + bytesOf(held), 0) > maximum)
              model.shift();
          }
          const oldest = model[0]?.seq;
          for (const seq of [0, Math.max(0, head - 3), Math.max(0, head - 1), head]) {
            const expected =
              oldest === undefined || seq + 1 < oldest
                ? undefined
                : model.filter((held) => held.seq > seq).slice(0, 2);
            expect(ring.after(seq, 2)).toEqual(expected);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  it('has nothing behind a sequence that it does not reach back to', () => {
    const ring = createRing(1);
    expect(ring.after(0, 10)).toBeUndefined();
    ring.push(row(5, 'a'));
    expect(ring.after(3, 10)).toBeUndefined();
    expect(ring.after(4, 10)?.map(({ seq }) => seq)).toEqual([5]);
    expect(ring.after(5, 10)).toEqual([]);
    ring.push(row(6, 'b'));
    expect(ring.after(4, 10)).toBeUndefined();
    ring.clear();
    expect(ring.after(6, 10)).toBeUndefined();
  });
});
