import { randomUUID } from 'node:crypto';
import type { As, Clients, Json } from './clients.ts';

/** A fresh idempotency key. */
export const key = () => randomUUID();

export const watchJob = `
  subscription ($id: ID!, $after: Cursor) {
    jobUpdated(id: $id, after: $after) {
      __typename id cursor occurredAt
      job { id ... on AgentJob { state result reason refundableSats } }
      ... on JobSnapshot { reason }
      ... on JobPaymentConfirmed { state invoice { paymentHash state } }
      ... on JobEvaluated { state workInvoice { paymentHash amountSats } }
      ... on JobWorkStarted { state }
      ... on JobProgressed { percent message }
      ... on JobCompleted { result }
      ... on JobRejected { why: reason }
      ... on JobFailed { why: reason }
      ... on JobExpired { why: reason }
      ... on JobPaymentReturned { returnedSats returnReason: reason }
    }
  }`;

export const watchSession = `
  subscription ($id: ID!, $after: Cursor) {
    sessionUpdated(id: $id, after: $after) {
      __typename id cursor occurredAt
      session { id state balanceSats refundableSats }
      ... on SessionSnapshot { reason }
      ... on SessionActivated { balanceSats }
      ... on SessionDebited { debitedSats balanceAfter memo }
      ... on SessionToppedUp { creditedSats balanceAfter }
      ... on SessionPaused { balanceSats }
      ... on SessionClosed { refundedSats }
      ... on SessionExpired { refundedSats }
      ... on SessionPaymentReturned { returnedSats returnReason: reason }
    }
  }`;

const asOwner = (accessToken: string | null, as: As): As =>
  accessToken === null ? as : { token: accessToken };

/** Makes a job; `as` is how its owner authenticates from then on. */
export async function createJob(
  app: Clients,
  prompt: string,
  as: As = {},
): Promise<{ job: Json; accessToken: string; as: As }> {
  const { createJob: made } = await app.ask(
    `mutation ($input: CreateJobInput!) {
      createJob(input: $input) {
        accessToken
        job { id state cursor evalInvoice { paymentHash bolt11 amountSats state } }
      }
    }`,
    { input: { prompt, idempotencyKey: key() } },
    as,
  );
  const { job, accessToken } = made as unknown as { job: Json; accessToken: string };
  return { job, accessToken, as: asOwner(accessToken, as) };
}

/** Opens a session; `as` is how its owner authenticates from then on. */
export async function openSession(
  app: Clients,
  depositSats: number,
  as: As = {},
): Promise<{ session: Json; accessToken: string; as: As }> {
  const { openSession: made } = await app.ask(
    `mutation ($input: OpenSessionInput!) {
      openSession(input: $input) {
        accessToken
        session { id state cursor depositInvoice { paymentHash bolt11 amountSats state } }
      }
    }`,
    { input: { depositSats, idempotencyKey: key() } },
    as,
  );
  const { session, accessToken } = made as unknown as { session: Json; accessToken: string };
  return { session, accessToken, as: asOwner(accessToken, as) };
}

export const debitSession = `
  mutation ($input: DebitSessionInput!) { debitSession(input: $input) { id state balanceSats } }`;

export const closeSession = `
  mutation ($input: CloseSessionInput!) { closeSession(input: $input) { session { id state balanceSats refundableSats } } }`;

export const topUpSession = `
  mutation ($input: TopUpSessionInput!) {
    topUpSession(input: $input) { session { id } invoice { id paymentHash amountSats state } }
  }`;
