import type { Clock } from '../../platform/clock.ts';
import type { Database } from '../../platform/database/database.ts';
import type { WorkHandler } from '../../platform/work/runner.ts';
import { byHash } from '../invoice-queries.ts';
import { LightningUnavailableError } from '../lightning/backend.ts';
import type { LightningPayer } from '../lightning/payer.ts';
import { failureOf, lookUpPauseMs } from './machine.ts';
import { type Payout, payoutsByIds } from './queries.ts';
import type { PayoutSteps } from './steps.ts';

interface Dependencies {
  readonly db: Database;
  readonly clock: Clock;
  readonly steps: PayoutSteps;
  /** Absent where nothing is paid out; what is pending waits. */
  readonly payer: LightningPayer | undefined;
  /** Hears what became of a sending, if it was no success. */
  readonly onError: (error: unknown) => void;
}

/** How soon a payout is tried again that could not be sent yet; ms. */
const waitMs = 10_000;

/** Sends each payout once, and looks it up from then on until it has ended. */
export function createPayoutWorker({ db, clock, steps, payer, onError }: Dependencies): WorkHandler {
  const later = (ms: number) => new Date(clock.now() + ms);
  const present = async (id: string) => (await payoutsByIds(db, [id]))[0];

  /** Sends it if it may be: when it answers, that was tried, or must not be. */
  async function send({ id, bolt11, expiresAt }: Payout, node: LightningPayer): Promise<void> {
    if (!(await steps.claimSending(id))) return;
    // A process that stood still in between must not send what is given back an hour behind this.
    if (expiresAt.getTime() <= clock.now()) return;
    try {
      await node.pay(bolt11);
    } catch (error) {
      if (!(error instanceof LightningUnavailableError)) throw error;
      onError(error);
    }
  }

  return {
    concurrency: 10,
    async run({ key: payoutId }) {
      const payout = await present(payoutId);
      if (payout?.state !== 'PENDING') return undefined;
      if (payout.sentAt === null && (await byHash(db, payout.paymentHash))) {
        await steps.paidInside(payoutId);
        return undefined;
      }
      if (!payer) return later(waitMs);
      if (payout.sentAt === null) {
        // Not to a node that is away or has too little: it would be held until it is certain that nothing was paid.
        const { amountSats, expiresAt } = payout;
        await payer.network();
        const isExpired = expiresAt.getTime() <= clock.now();
        if (!isExpired && (await payer.balanceMsats()) < amountSats * 1_000n) {
          onError(new LightningUnavailableError(`The Lightning node has too little for payout ${payoutId}.`));
          return later(waitMs);
        }
        await send(payout, payer);
      }
      const sent = await present(payoutId);
      if (sent?.state !== 'PENDING' || sent.sentAt === null) return undefined;
      const answer = await payer.lookUpPayment(sent.paymentHash);
      if (answer.state === 'PAID') {
        await steps.paid(payoutId, answer.feeMsats, answer.paidAt);
        return undefined;
      }
      const failure = failureOf(answer, sent.expiresAt, clock.now());
      if (failure === undefined) return later(lookUpPauseMs(sent.sentAt, clock.now()));
      await steps.failed(payoutId, failure);
      return undefined;
    },
  };
}
