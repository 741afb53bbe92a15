import { describe, expect, it } from 'vitest';
import { requesterOf } from '../../../src/platform/auth/requester.ts';
import type { Role } from '../../../src/platform/auth/tokens.ts';
import type { Viewer } from '../../../src/platform/auth/viewer.ts';
import { anonymous } from '../../support/viewers.ts';

describe('whom it counts against', () => {
  const viewer = (
    roles: readonly Role[],
    objects: readonly string[] = [],
    bearerObject?: string,
  ): Viewer => ({
    user:
      roles.length === 0
        ? undefined
        : { id: 'usr_a', roles, tokenId: 'tok', issuedAt: new Date(0), expiresAt: new Date(1) },
    objects: new Set(objects),
    bearerObject,
  });

  it('is a user and their address', () => {
    expect(requesterOf(viewer(['USER']), '203.0.113.7')).toEqual({
      caller: 'usr_a',
      address: '203.0.113.7',
    });
    expect(requesterOf(viewer(['USER', 'ADMIN'], ['ses_a'], 'ses_a'), undefined, 'ses_a')).toEqual({
      caller: 'usr_a',
      address: null,
    });
  });

  it('is the address alone of who presents nothing', () => {
    expect(requesterOf(anonymous, '203.0.113.7')).toEqual({ caller: null, address: '203.0.113.7' });
    expect(requesterOf(anonymous, undefined, 'ses_a')).toEqual({ caller: null, address: null });
  });

  it('is the object of an access token, and no other object', () => {
    expect(requesterOf(viewer([], ['ses_a', 'ses_b'], 'ses_b'), undefined, 'ses_a')).toMatchObject({
      caller: 'ses_a',
    });
    expect(requesterOf(viewer([], ['ses_a', 'ses_b'], 'ses_b'), undefined)).toMatchObject({
      caller: 'ses_b',
    });
    expect(requesterOf(viewer([], ['ses_a']), undefined, 'ses_c')).toMatchObject({ caller: null });
  });

  it('is nobody when a service asks', () => {
    expect(requesterOf(viewer(['SERVICE']), '203.0.113.7')).toBeUndefined();
    expect(requesterOf(viewer(['USER', 'SERVICE'], ['ses_a']), '203.0.113.7', 'ses_a')).toBeUndefined();
  });
});
