import { expect, it } from 'vitest';
import type { Viewer } from '../../../src/platform/auth/viewer.ts';
import { addressKey, shortKey, viewerKey } from '../../../src/platform/limits/keys.ts';
import { anonymous } from '../../support/viewers.ts';

const user = {
  id: 'usr_1',
  roles: [],
  tokenId: 't',
  issuedAt: new Date(0),
  expiresAt: new Date(1),
};

it('counts against a user, however many tokens there are, else against the access token', () => {
  const holder: Viewer = { user: undefined, objects: new Set(['job_1', 'job_2']), bearerObject: 'job_1' };
  expect(viewerKey({ ...holder, user })).toBe('viewer:usr_1');
  expect(viewerKey(holder)).toBe('viewer:job_1');
  expect(viewerKey(anonymous)).toBeUndefined();
});

it('counts against an address where there is one', () => {
  expect(addressKey('203.0.113.7')).toBe('address:203.0.113.7');
  expect(addressKey(undefined)).toBeUndefined();
});

it('makes short keys that are alike only for the same text', () => {
  expect(shortKey('address:203.0.113.7')).toMatch(/^[\w-]{16}$/);
  expect(shortKey('a')).toBe(shortKey('a'));
  expect(new Set(Array.from({ length: 1_000 }, (_, n) => shortKey(`${n}`))).size).toBe(1_000);
});
