import { hasRole, type Owned, type View, viewOf } from '../platform/auth/viewer.ts';
import type { Context } from './context.ts';

/** What the subscribers of a topic were found to be to it; they share what is executed for them. */
export interface TopicView {
  readonly access: View;
  /** The object that an owner's topic is about. */
  readonly objectId?: string;
  /** The user whose topic it is. */
  readonly userId?: string;
}

/**
 * How whoever asks stands to an object. Within a subscription that is decided by what they were found to be to its
 * topic; only what lies outside of that asks who they are.
 */
export function accessTo(context: Context, owned: Owned): View | undefined {
  const { view } = context;
  if (!view) return viewOf(context.viewer, owned);
  if (view.access === 'PUBLIC') return undefined;
  if (view.access !== 'OWNER' && view.access !== 'PARTY') return view.access;
  const isTheirs =
    owned.objectId === view.objectId || (owned.userId !== null && owned.userId === view.userId);
  return isTheirs ? 'OWNER' : viewOf(context.viewer, owned);
}

/**
 * How whoever asks stands to what several users share; undefined when they are none of them. Within a subscription
 * that is decided by whose it is, or by the class that all of its subscribers have.
 */
export function accessToShared(context: Context, parties: readonly (string | null)[]): View | undefined {
  const { view } = context;
  if (view?.access === 'PUBLIC') return undefined;
  if (view) {
    const isTheirs = view.userId === undefined ? view.access !== 'OWNER' : parties.includes(view.userId);
    return isTheirs ? (view.userId === undefined ? view.access : 'PARTY') : undefined;
  }
  const { viewer } = context;
  if (viewer.user && parties.includes(viewer.user.id)) return 'PARTY';
  return hasRole(viewer, 'SERVICE') ? 'SERVICE' : hasRole(viewer, 'ADMIN') ? 'ADMIN' : undefined;
}
