import { GraphQLError, Kind, type ValueNode } from 'graphql';
import { maximumSats } from '../money/sats.ts';
import { builder } from './builder.ts';

builder.scalarType('Sats', {
  description:
    'Whole satoshis as a JSON integer, up to 2,100,000,000,000,000. Negative only where a field says so.',
  serialize: (sats) => Number(sats),
  parseValue: (value) => {
    if (typeof value !== 'number' || !Number.isInteger(value)) throw notSats();
    return inRange(BigInt(value));
  },
  parseLiteral: (node: ValueNode) => {
    if (node.kind !== Kind.INT) throw notSats();
    return inRange(BigInt(node.value));
  },
});

function inRange(sats: bigint): bigint {
  if (sats < 0n || sats > maximumSats) throw notSats();
  return sats;
}

const notSats = () => new GraphQLError(`Sats are whole numbers from 0 to ${maximumSats}.`);

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;

builder.scalarType('DateTime', {
  description: 'A moment as RFC 3339 writes it, in UTC, with milliseconds.',
  serialize: (date) => date.toISOString(),
  parseValue: (value) => {
    const date = new Date(typeof value === 'string' && rfc3339.test(value) ? value : Number.NaN);
    if (Number.isNaN(date.getTime())) throw new GraphQLError('A DateTime is a text in RFC 3339.');
    return date;
  },
});

builder.scalarType('Cursor', {
  description:
    'An opaque position in a feed. The literal `START` is the position before the first event that is kept.',
  serialize: (cursor) => cursor,
  parseValue: (value) => {
    if (typeof value !== 'string') throw new GraphQLError('A Cursor is a text.');
    return value;
  },
});
