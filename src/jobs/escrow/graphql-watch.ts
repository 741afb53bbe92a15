import type { Context } from '../../graphql/context.ts';
import type { Watch } from '../../graphql/watch.ts';
import { forbidden } from '../../platform/errors.ts';
import { endsRightOf } from './events.ts';
import { accessToEscrowJob } from './graphql-access.ts';
import { type EscrowJobView, escrowJobsByIds } from './queries.ts';

/**
 * How whoever asks may watch an escrowed job: a user as its party, until they are none any more.
 * @throws PublicError FORBIDDEN to whom only its public fields are shown.
 */
export function watchAsParty(
  context: Context,
  job: EscrowJobView,
): Pick<Watch, 'view' | 'isLast' | 'confirm'> {
  const access = accessToEscrowJob(context, job);
  if (!access) throw forbidden();
  const { user } = context.viewer;
  if (access !== 'PARTY' || !user) return { view: { access } };
  return {
    view: { access, userId: user.id },
    isLast: endsRightOf(user.id),
    async confirm() {
      const [now] = await escrowJobsByIds(context.services.db, [job.id]);
      if (!now || !accessToEscrowJob(context, now)) throw forbidden();
      return Number(now.feedHead);
    },
  };
}
