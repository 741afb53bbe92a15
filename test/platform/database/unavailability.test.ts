import { expect, it } from 'vitest';
import { isUnavailability } from '../../../src/platform/database/unavailability.ts';

it.each(['ECONNREFUSED', 'ECONNRESET', '08006', '53300', '57P01', '57014', '55P03', '25P03'])(
  'of the database is what has the code %s',
  (code) => {
    expect(isUnavailability(Object.assign(new Error('x'), { code }))).toBe(true);
  },
);

it.each([
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'timeout exceeded when trying to connect',
  'Query read timeout',
  'timeout expired',
  'Client has encountered a connection error and is not queryable',
])('of the database is what says "%s"', (message) => {
  expect(isUnavailability(new Error(message))).toBe(true);
});

it.each(['23505', '40P01', '42P01', '22P02', 'ENOENT', ''])('is not what has the code "%s"', (code) => {
  expect(isUnavailability(Object.assign(new Error('Connection terminated'), { code }))).toBe(false);
});

it.each(['x is not a function', 'The work has no timeout'])('is not what a bug says: %s', (message) => {
  expect(isUnavailability(new TypeError(message))).toBe(false);
});
