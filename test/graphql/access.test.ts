import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { accessTo, accessToShared, type TopicView } from '../../src/graphql/access.ts';
import type { Context } from '../../src/graphql/context.ts';
import type { Role } from '../../src/platform/auth/tokens.ts';
import { type Owned, type Viewer, viewOf } from '../../src/platform/auth/viewer.ts';
import { anonymous } from '../support/viewers.ts';

const user = (id: string, ...roles: Role[]): Viewer => ({
  ...anonymous,
  user: { id, roles, tokenId: 'token', issuedAt: new Date(0), expiresAt: new Date(1) },
});

const context = (viewer: Viewer, view?: TopicView) => ({ viewer, view }) as Context;

/** A context that belongs to nobody. */
const nobodys = (view: TopicView) =>
  ({
    view,
    get viewer(): never {
      throw new Error('asked who');
    },
  }) as unknown as Context;

const own: Owned = { userId: 'usr_1', objectId: 'job_1' };
const other: Owned = { userId: 'usr_2', objectId: 'job_2' };
const ownerless: Owned = { userId: null, objectId: 'job_3' };

describe('access', () => {
  it('outside of subscriptions is what the viewer has', () => {
    for (const viewer of [anonymous, user('usr_1'), user('usr_3', 'SERVICE'), user('usr_3', 'ADMIN')])
      for (const owned of [own, other, ownerless])
        expect(accessTo(context(viewer), owned)).toBe(viewOf(viewer, owned));
  });

  it.each(['SERVICE', 'ADMIN'] as const)('of %s is decided by the view, for any object', (access) => {
    for (const owned of [own, other, ownerless]) expect(accessTo(nobodys({ access }), owned)).toBe(access);
  });

  it('of an owner is decided by the view for the object that the topic is about, and for what is theirs', () => {
    expect(accessTo(nobodys({ access: 'OWNER', objectId: 'job_1' }), own)).toBe('OWNER');
    expect(accessTo(nobodys({ access: 'OWNER', objectId: 'job_3' }), ownerless)).toBe('OWNER');
    expect(accessTo(nobodys({ access: 'OWNER', userId: 'usr_1' }), own)).toBe('OWNER');
  });

  it('to anything else asks who watches', () => {
    expect(() => accessTo(nobodys({ access: 'OWNER', objectId: 'job_1' }), other)).toThrow('asked who');
    expect(() => accessTo(nobodys({ access: 'OWNER', userId: 'usr_1' }), ownerless)).toThrow('asked who');
    // A feed of nobody in particular does not own what has no owner.
    expect(() => accessTo(nobodys({ access: 'OWNER' }), ownerless)).toThrow('asked who');
    const view = { access: 'OWNER', objectId: 'job_1' } as const;
    expect(accessTo(context(user('usr_2'), view), other)).toBe('OWNER');
    expect(accessTo(context(user('usr_1'), view), other)).toBeUndefined();
    expect(accessTo(context(user('usr_1', 'SERVICE'), view), other)).toBe('SERVICE');
  });

  it('is the same by the view as by the viewer, for whoever was given that view', () => {
    const someId = fc.constantFrom('usr_1', 'usr_2', 'usr_3');
    const someOwned = fc.record({
      userId: fc.option(someId),
      objectId: fc.constantFrom('job_1', 'job_2'),
    });
    const someViewer = fc.record({
      id: fc.option(someId),
      roles: fc.subarray<Role>(['USER', 'SERVICE', 'ADMIN']),
      objects: fc.subarray(['job_1', 'job_2']),
    });
    fc.assert(
      fc.property(someViewer, someOwned, ({ id, roles, objects }, owned) => {
        const viewer = { ...(id === null ? anonymous : user(id, ...roles)), objects: new Set(objects) };
        const access = viewOf(viewer, owned);
        if (access === undefined) return;
        expect(accessTo(context(viewer, { access, objectId: owned.objectId }), owned)).toBe(access);
      }),
    );
  });
});

describe('access to what users share', () => {
  const parties = ['usr_1', 'usr_2', null];

  it('outside of subscriptions is that of a party, or of a role', () => {
    expect(accessToShared(context(user('usr_1')), parties)).toBe('PARTY');
    expect(accessToShared(context(user('usr_2', 'SERVICE', 'ADMIN')), parties)).toBe('PARTY');
    expect(accessToShared(context(user('usr_3', 'SERVICE', 'ADMIN')), parties)).toBe('SERVICE');
    expect(accessToShared(context(user('usr_3', 'ADMIN')), parties)).toBe('ADMIN');
    expect(accessToShared(context(user('usr_3')), parties)).toBeUndefined();
    expect(accessToShared(context(anonymous), parties)).toBeUndefined();
  });

  it('within one is that of whoever it belongs to, for what they are a party of', () => {
    for (const access of ['PARTY', 'OWNER'] as const) {
      expect(accessToShared(nobodys({ access, userId: 'usr_2' }), parties)).toBe('PARTY');
      expect(accessToShared(nobodys({ access, userId: 'usr_3' }), parties)).toBeUndefined();
    }
    expect(accessToShared(nobodys({ access: 'OWNER', objectId: 'job_1' }), parties)).toBeUndefined();
  });

  it('within one is that of the role which all who watch have', () => {
    for (const access of ['SERVICE', 'ADMIN'] as const)
      expect(accessToShared(nobodys({ access }), parties)).toBe(access);
  });

  it('is nobody’s because a topic is public', () => {
    expect(accessToShared(nobodys({ access: 'PUBLIC' }), parties)).toBeUndefined();
    expect(accessTo(nobodys({ access: 'PUBLIC' }), own)).toBeUndefined();
  });
});
