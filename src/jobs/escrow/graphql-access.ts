import { accessToShared } from '../../graphql/access.ts';
import type { Context } from '../../graphql/context.ts';
import type { View } from '../../platform/auth/viewer.ts';

/** How whoever asks stands to what concerns these users alone; undefined when they are none of them, as on the board. */
export function accessOfParties(context: Context, parties: readonly (string | null)[]): View | undefined {
  const access = accessToShared(context, parties);
  return access === 'PUBLIC' ? undefined : access;
}

/** How whoever asks stands to an escrowed job; undefined for those to whom only its public fields are shown. */
export function accessToEscrowJob(
  context: Context,
  { employer, worker }: { readonly employer: string; readonly worker: string | null },
): View | undefined {
  return accessOfParties(context, [employer, worker]);
}
