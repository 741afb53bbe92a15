import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeCursor, parseCursor } from '../../../src/platform/log/cursor.ts';

const base64url = (text: string) => Buffer.from(text).toString('base64url');
const position = { topic: 'job:job_x', epoch: '0123456789ab', seq: 42 };
const cursor = encodeCursor(position);

const epochs = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 12, maxLength: 12 });
const positions = fc.record({
  topic: fc.string({ unit: 'grapheme', minLength: 1 }),
  epoch: epochs,
  seq: fc.integer({ min: 0, max: 999_999_999_999_999 }),
});

describe('a cursor', () => {
  it('reads as what was written', () => {
    fc.assert(
      fc.property(positions, (any) => {
        const text = encodeCursor(any);
        expect(text).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(parseCursor(text, any.topic)).toEqual(any);
      }),
    );
  });

  it('is the same for the same position alone', () => {
    fc.assert(
      fc.property(positions, positions, (one, two) => {
        expect(encodeCursor(one) === encodeCursor(two)).toBe(JSON.stringify(one) === JSON.stringify(two));
      }),
    );
  });

  it.each([
    ['nothing', ''],
    ['no base64url', '!!!'],
    ['padding', base64url('0123456789ab.42.job:job_xy').concat('=')],
    ['the alphabet of base64', Buffer.from('0123456789ab.42.???>>>').toString('base64')],
    ['a blank behind it', `${cursor} `],
    ['a line break in it', `${cursor.slice(0, 8)}\n${cursor.slice(8)}`],
    ['bits that mean nothing', `${base64url('0123456789ab.42.a').slice(0, -1)}R`],
    ['no topic', base64url('0123456789ab.42.')],
    ['no sequence', base64url('0123456789ab..job:job_x')],
    ['a sequence below 0', base64url('0123456789ab.-1.job:job_x')],
    ['a sequence with a leading 0', base64url('0123456789ab.042.job:job_x')],
    ['a sequence with a fraction', base64url('0123456789ab.4.2e1.job:job_x')],
    ['a sequence past what numbers hold', base64url('0123456789ab.9007199254740993.job:job_x')],
    ['a short epoch', base64url('0123456789a.42.job:job_x')],
    ['an epoch in capitals', base64url('0123456789AB.42.job:job_x')],
    ['text before it', base64url(' 0123456789ab.42.job:job_x')],
    ['bytes that are no text', Buffer.from('0123456789ab.42.job:\xff', 'latin1').toString('base64url')],
    ['the word for the beginning in small letters', 'start'],
  ])('with %s is malformed', (_, text) => {
    expect(() => parseCursor(text, position.topic)).toThrow(
      expect.objectContaining({ code: 'BAD_USER_INPUT', details: { argument: 'after' } }),
    );
  });

  it('of another feed is refused', () => {
    for (const topic of ['job:job_y', 'job:job_', 'job:job_xy', 'session:job_x'])
      expect(() => parseCursor(cursor, topic)).toThrow(
        expect.objectContaining({ code: 'BAD_USER_INPUT', message: 'The cursor belongs to another feed.' }),
      );
  });

  it('that is any text at all is refused or reads as a position that it encodes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String(), positions.map(encodeCursor)), (text) => {
        let parsed: ReturnType<typeof parseCursor> | undefined;
        try {
          parsed = parseCursor(text, position.topic);
        } catch (error) {
          expect(error).toMatchObject({ code: 'BAD_USER_INPUT' });
        }
        if (parsed) expect(encodeCursor(parsed)).toBe(text);
      }),
    );
  });
});
