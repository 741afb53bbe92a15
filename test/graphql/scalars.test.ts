import { type GraphQLScalarType, parseValue, valueFromAST } from 'graphql';
import { describe, expect, it } from 'vitest';
import { buildSchema } from '../../src/graphql/schema.ts';

const scalar = (name: string) => buildSchema().getType(name) as GraphQLScalarType;
const literal = (name: string, text: string) => scalar(name).parseLiteral(parseValue(text));

describe('Sats', () => {
  it.each([
    [0, 0n],
    [21, 21n],
    [2_100_000_000_000_000, 2_100_000_000_000_000n],
  ])('are taken as a whole number: %d', (given, sats) => {
    expect(scalar('Sats').parseValue(given)).toBe(sats);
    expect(literal('Sats', String(given))).toBe(sats);
    expect(scalar('Sats').serialize(sats)).toBe(given);
  });

  it.each([-1, 1.5, 2_100_000_000_000_001, 1e300, Number.NaN, '5', true, null, {}])('are not %j', (given) => {
    expect(() => scalar('Sats').parseValue(given)).toThrow('Sats are whole numbers');
  });

  it.each(['-1', '1.5', '2100000000000001', '"5"', 'true', 'FIVE', '[1]'])('are not written %s', (text) => {
    expect(() => literal('Sats', text)).toThrow('Sats are whole numbers');
  });

  it('may be negative where a field says so', () => {
    expect(scalar('Sats').serialize(-5n)).toBe(-5);
  });
});

describe('DateTime', () => {
  it('is written in UTC, with milliseconds', () => {
    expect(scalar('DateTime').serialize(new Date(0))).toBe('1970-01-01T00:00:00.000Z');
  });

  it.each([
    ['1970-01-01T00:00:00Z', 0],
    ['1970-01-01T01:00:00.250+01:00', 250],
    ['1970-01-01t00:00:01z', 1_000],
  ])('is taken as RFC 3339 writes it: %s', (text, ms) => {
    expect(scalar('DateTime').parseValue(text)).toEqual(new Date(ms));
    expect(valueFromAST(parseValue(`"${text}"`), scalar('DateTime'))).toEqual(new Date(ms));
  });

  it.each(['', '1970', '1970-01-01', 'yesterday', '1970-13-01T00:00:00Z', '1970-01-01T00:00:00', 0, null])(
    'is not %j',
    (given) => {
      expect(() => scalar('DateTime').parseValue(given)).toThrow('RFC 3339');
    },
  );
});

describe('Cursor', () => {
  it('is a text', () => {
    expect(scalar('Cursor').parseValue('START')).toBe('START');
    expect(scalar('Cursor').serialize('abc')).toBe('abc');
    expect(literal('Cursor', '"START"')).toBe('START');
    for (const given of [1, true, {}]) expect(() => scalar('Cursor').parseValue(given)).toThrow('a text');
  });
});
