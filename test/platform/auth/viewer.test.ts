import { describe, expect, it } from 'vitest';
import type { Role } from '../../../src/platform/auth/tokens.ts';
import {
  callerOf,
  hasCredentials,
  hasRole,
  requireUser,
  type Viewer,
  viewOf,
} from '../../../src/platform/auth/viewer.ts';
import { anonymous } from '../../support/viewers.ts';

function user(id: string, roles: Role[] = ['USER']): Viewer {
  const times = { issuedAt: new Date(0), expiresAt: new Date(1) };
  return { ...anonymous, user: { id, roles, tokenId: 'a token', ...times } };
}

const holder = (...objects: string[]): Viewer => ({
  ...anonymous,
  objects: new Set(objects),
  bearerObject: objects[0],
});

describe('the view of an object', () => {
  const alices = { userId: 'usr_alice', objectId: 'job_1' };
  const nobodys = { userId: null, objectId: 'job_2' };

  it.each([
    ['its owner', user('usr_alice'), alices, 'OWNER'],
    ['the holder of its access token', holder('job_2'), nobodys, 'OWNER'],
    ['its owner, even with other roles', user('usr_alice', ['SERVICE', 'ADMIN']), alices, 'OWNER'],
    ['a service', user('usr_s', ['SERVICE']), alices, 'SERVICE'],
    ['a service that may administer', user('usr_s', ['ADMIN', 'SERVICE']), nobodys, 'SERVICE'],
    ['an administrator', user('usr_a', ['ADMIN']), nobodys, 'ADMIN'],
    ['another user', user('usr_bob'), alices, undefined],
    ['another user, of what nobody owns', user('usr_bob'), nobodys, undefined],
    ['the holder of another access token', holder('job_1x'), alices, undefined],
    ['nobody', anonymous, nobodys, undefined],
  ] as const)('of %s', (_name, viewer, object, view) => {
    expect(viewOf(viewer, object)).toBe(view);
  });
});

describe('who asks', () => {
  it('has credentials with a token of either kind', () => {
    expect([anonymous, user('usr_a'), holder('job_1')].map(hasCredentials)).toEqual([false, true, true]);
  });

  it('has the roles of the token, and no others', () => {
    expect(hasRole(user('usr_a', ['ADMIN']), 'ADMIN')).toBe(true);
    expect(hasRole(user('usr_a', ['ADMIN']), 'SERVICE')).toBe(false);
    expect(hasRole(holder('job_1'), 'USER')).toBe(false);
  });

  it('is a user, or nobody that a user is needed for', () => {
    expect(requireUser(user('usr_a')).id).toBe('usr_a');
    for (const viewer of [anonymous, holder('job_1')])
      expect(() => requireUser(viewer)).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }));
  });

  it('keeps idempotency keys as the user, as the capability, or as nobody in particular', () => {
    expect(callerOf({ ...user('usr_a'), objects: new Set(['job_1']), bearerObject: 'job_1' })).toBe('usr_a');
    expect(callerOf(holder('job_1', 'ses_2'))).toBe('job_1');
    expect(callerOf(holder('job_1', 'ses_2'), 'ses_2')).toBe('ses_2');
    expect(callerOf(holder('job_1'), 'ses_2')).toBe('anonymous');
    expect(callerOf(anonymous)).toBe('anonymous');
  });
});
