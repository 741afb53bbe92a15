import type { TestApp } from './app.ts';
import type { As, Json } from './clients.ts';
import { key } from './operations.ts';

/** Every field of an escrowed job, and of what happens to it. */
const escrowFields = `
  id createdAt updatedAt cursor
  ... on EscrowJob {
    state title jobType paySats payAmountUsd deadline
    employer { id } worker { id } checklist { id text completed }
  }`;

const eventFields = `
  __typename id cursor
  job { ${escrowFields} }
  ... on JobSnapshot { reason }
  ... on JobPosted { paySats }
  ... on JobAccepted { worker { id } }
  ... on JobWithdrawn { worker { id } }
  ... on JobChecklistUpdated { progressPercent }
  ... on JobCompleted { result paymentReleased paidSats }
  ... on JobCancelled { refundedSats }
  ... on JobRefunded { refundedSats why: reason }`;

export const watchEscrowJob = `
  subscription ($id: ID!, $after: Cursor) { jobUpdated(id: $id, after: $after) { ${eventFields} } }`;

export const watchBoard = `
  subscription ($after: Cursor) { jobBoardUpdated(after: $after) { ${eventFields} } }`;

export const watchPosted = `
  subscription ($after: Cursor) { jobPosted(after: $after) { __typename id cursor job { ${escrowFields} } paySats } }`;

export type EscrowMutation =
  | 'postJob'
  | 'acceptJob'
  | 'withdrawFromJob'
  | 'updateChecklist'
  | 'completeJob'
  | 'cancelJob';

/** The document of a mutation. */
function escrowMutation(name: EscrowMutation): string {
  const input = `${name.charAt(0).toUpperCase()}${name.slice(1)}Input`;
  return `mutation ($input: ${input}!) { ${name}(input: $input) { job { ${escrowFields} } } }`;
}

type Sender = Pick<TestApp, 'send' | 'ask'>;

/** Does it with a fresh key unless one is given, and answers the job. */
export async function escrow(app: Sender, name: EscrowMutation, input: object, as: As): Promise<Json> {
  const variables = { input: { idempotencyKey: key(), ...input } };
  return (await app.ask(escrowMutation(name), variables, as))[name].job;
}

/** What it is refused with; undefined when it is not. */
export async function escrowRefusal(
  app: Sender,
  name: EscrowMutation,
  input: object,
  as: As,
): Promise<Json | undefined> {
  const { errors } = await app.send(escrowMutation(name), { input: { idempotencyKey: key(), ...input } }, as);
  return errors?.[0]?.extensions;
}

/** The job as whoever asks sees it. */
export async function readEscrowJob(app: Sender, id: string, as: As): Promise<Json> {
  return (await app.ask(`query ($id: ID!) { job(id: $id) { ${escrowFields} } }`, { id }, as)).job;
}

/** What an employer asks for, unless a test says otherwise. */
export function newJob(changes: object = {}) {
  return {
    title: 'Paint a fence',
    jobType: 'painting',
    paySats: 1_000,
    payAmountUsd: 0.99,
    deadline: new Date(Date.now() + 24 * 3_600_000).toISOString(),
    checklist: ['Front', 'Back', 'Gate'],
    ...changes,
  };
}

/** What the log tells of a topic, oldest first. */
export async function toldOf({ services }: Pick<TestApp, 'services'>, topic: string) {
  const rows = await services.feeds.log.readPage(topic, 0, 10_000);
  return rows.map(({ event }) => event);
}
