import { randomBytes } from 'node:crypto';
import { LightningUnavailableError } from '../../src/money/lightning/backend.ts';
import { type Bolt11, encodeBolt11 } from '../../src/money/lightning/bolt11.ts';
import { readBolt11 } from '../../src/money/lightning/bolt11-read.ts';
import type { LightningPayer } from '../../src/money/lightning/payer.ts';
import type { StubLightning } from '../../src/money/lightning/stub.ts';
import type { TestApp } from './app.ts';
import type { Json } from './clients.ts';
import { key } from './operations.ts';

/** An invoice of somebody else's node. */
export function foreignInvoice(
  now: number,
  amountSats: number,
  changes: Partial<Bolt11> = {},
): { readonly bolt11: string; readonly paymentHash: string } {
  const paymentHash = randomBytes(32);
  const request: Bolt11 = {
    network: 'regtest',
    amountSats: BigInt(amountSats),
    paymentHash,
    paymentSecret: randomBytes(32),
    description: 'Elsewhere',
    timestamp: Math.floor(now / 1_000),
    expirySeconds: 3_600,
    minFinalCltvExpiry: 18,
    ...changes,
  };
  return { bolt11: encodeBolt11(request, randomBytes(32)), paymentHash: paymentHash.toString('hex') };
}

/** What becomes of a payment, however long that takes and whatever is answered meanwhile. */
export interface Fate {
  /** What the asking hears. */
  readonly answer: 'TAKEN' | 'LOST' | 'REFUSED';
  /** How it ends; unknown is what the node has never heard of. */
  readonly ends: 'PAID' | 'FAILED' | 'UNKNOWN';
  readonly feeMsats: bigint;
  /** How many look-ups find it pending first, or fail. */
  readonly pendingLookUps: number;
  readonly failedLookUps: number;
}

export const paidAtOnce: Fate = {
  answer: 'TAKEN',
  ends: 'PAID',
  feeMsats: 1_500n,
  pendingLookUps: 0,
  failedLookUps: 0,
};

interface FatefulPayer extends LightningPayer {
  /** The payment hashes that it was asked to pay, in order. */
  readonly sent: string[];
  /** What it holds; msats. */
  balance: bigint;
  isAway: boolean;
}

/** A node that pays, and does with each payment what a test wants. */
export function fatefulPayer(fateOf: (paymentHash: string) => Fate) {
  const lookUps = new Map<string, number>();
  const payer: FatefulPayer = {
    sent: [],
    balance: 1_000_000_000_000n,
    isAway: false,
    close: () => {},
    network: async () => 'bcrt',
    async balanceMsats() {
      if (payer.isAway) throw new LightningUnavailableError('It is away.');
      return payer.balance;
    },
    async pay(bolt11) {
      const { paymentHash } = readBolt11(bolt11) as { paymentHash: string };
      payer.sent.push(paymentHash);
      if (fateOf(paymentHash).answer !== 'TAKEN') throw new LightningUnavailableError('Nothing is known.');
    },
    async lookUpPayment(paymentHash) {
      const { ends, feeMsats, pendingLookUps, failedLookUps } = fateOf(paymentHash);
      if (!payer.sent.includes(paymentHash)) return { state: 'UNKNOWN' };
      const asked = lookUps.get(paymentHash) ?? 0;
      lookUps.set(paymentHash, asked + 1);
      if (asked < failedLookUps) throw new LightningUnavailableError('It does not answer.');
      if (asked < failedLookUps + pendingLookUps) return { state: 'PENDING' };
      return ends === 'PAID' ? { state: ends, feeMsats, paidAt: new Date(0) } : { state: ends };
    },
  };
  return {
    payer,
    /** Puts itself in the place of the stub's. */
    lightning: (stub: StubLightning): StubLightning => ({ ...stub, payer }),
  };
}

const payoutFields = 'id paymentHash amountSats feeSats state createdAt settledAt failureReason';

export const payoutMutation = `mutation ($input: PayoutInput!) { payout(input: $input) { payout { ${payoutFields} } } }`;
export const claimRefundMutation = `mutation ($input: ClaimRefundInput!) {
  claimRefund(input: $input) { payout { ${payoutFields} } }
}`;
export const readPayout = `query ($id: ID!) { node(id: $id) { ... on Payout { ${payoutFields} } } }`;

/** Asks for a payout. */
export async function payOut(
  app: Pick<TestApp, 'ask'>,
  bolt11: string,
  as: { readonly token: string },
): Promise<Json> {
  const { payout } = await app.ask(payoutMutation, { input: { bolt11, idempotencyKey: key() } }, as);
  return payout.payout;
}
