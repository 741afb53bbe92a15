import { GraphQLError } from 'graphql';
import { describe, expect, it } from 'vitest';
import { refreshedPong, refusedPong, tokenInPing } from '../../src/transport/ping.ts';

describe('the token of a ping', () => {
  it.each([
    [{ token: 'a' }, 'a'],
    [{ auth: { token: 'b' } }, 'b'],
    [{ token: 'a', auth: { token: 'b' } }, 'a'],
    [{ token: '' }, ''],
  ])('is found in %j', (payload, token) => {
    expect(tokenInPing(payload)).toBe(token);
  });

  it.each([
    undefined,
    null,
    'token',
    5,
    [],
    {},
    { token: null },
    { token: 5 },
    { auth: null },
    { auth: 'token' },
    { auth: {} },
    { auth: { token: ['a'] } },
    Object.create({ token: 'inherited' }),
  ])('is not found in %j', (payload) => {
    expect(tokenInPing(payload)).toBeUndefined();
  });
});

describe('a pong', () => {
  it('says until when a token counts that was taken', () => {
    expect(refreshedPong({ expiresAt: new Date(0) })).toEqual({ tokenExpiresAt: '1970-01-01T00:00:00.000Z' });
  });

  it('says why one was not', () => {
    const error = new GraphQLError('No.', { extensions: { code: 'FORBIDDEN', internal: 'x' } });
    expect(refusedPong(error)).toEqual({ error: { code: 'FORBIDDEN', message: 'No.' } });
  });
});
