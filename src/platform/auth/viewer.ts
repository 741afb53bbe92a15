import { unauthenticated } from '../errors.ts';
import type { Role } from './tokens.ts';

/** Who a token speaks for, and until when. */
export interface ViewerUser {
  readonly id: string;
  readonly roles: readonly Role[];
  readonly tokenId: string;
  readonly issuedAt: Date;
  readonly expiresAt: Date;
}

/** Whoever sends an operation: a user, holders of access tokens, both, or nobody known. */
export interface Viewer {
  readonly user: ViewerUser | undefined;
  /** The ids of the objects that the presented access tokens open. */
  readonly objects: ReadonlySet<string>;
  /** The object of an access token presented as the bearer token. */
  readonly bearerObject: string | undefined;
}

/** Whether the viewer presented any credentials. */
export function hasCredentials(viewer: Viewer): boolean {
  return viewer.user !== undefined || viewer.objects.size > 0;
}

/**
 * The user who asks.
 * @throws PublicError UNAUTHENTICATED when nobody does, or only the holder of access tokens.
 */
export function requireUser({ user }: Viewer): ViewerUser {
  if (!user) throw unauthenticated();
  return user;
}

export function hasRole(viewer: Viewer, role: Role): boolean {
  return viewer.user?.roles.includes(role) ?? false;
}

/** Whose an object is: a user's, or an anonymous owner's whom only an access token shows. */
export interface Owned {
  readonly userId: string | null;
  readonly objectId: string;
}

/** How a viewer stands to an object: the access class that decides which of its fields are shown. */
export type View = 'OWNER' | 'PARTY' | 'SERVICE' | 'ADMIN' | 'PUBLIC';

/** The viewer's access class on an object; undefined when the object is not theirs to see. */
export function viewOf(viewer: Viewer, { userId, objectId }: Owned): View | undefined {
  if (viewer.objects.has(objectId) || (userId !== null && viewer.user?.id === userId)) return 'OWNER';
  if (hasRole(viewer, 'SERVICE')) return 'SERVICE';
  if (hasRole(viewer, 'ADMIN')) return 'ADMIN';
  return undefined;
}

/** The caller who presents nothing that tells them from others. */
export const anonymousCaller = 'anonymous';

/** Who an idempotency key belongs to: the token's subject, or the access token; for neither, the key alone. */
export function callerOf(viewer: Viewer, objectId = viewer.bearerObject): string {
  if (viewer.user) return viewer.user.id;
  return objectId !== undefined && viewer.objects.has(objectId) ? objectId : anonymousCaller;
}
