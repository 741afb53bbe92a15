import { withdrawableAt } from '../../src/streams/machine.ts';
import type { Stream } from '../../src/streams/queries.ts';
import type { TestApp } from './app.ts';
import type { As, Clients, Json, Received, Result } from './clients.ts';
import { key } from './operations.ts';

/** What tests look at of a stream. */
const streamFields = `
  id state origin clock amountSats vestedSats withdrawnSats withdrawableSats refundedSats feeSats percentComplete
  rateSatsPerSecond rateSatsPerBlock startsAt endsAt startBlock endBlock sender { id } recipient { id }`;

const eventFields = `
  __typename id cursor
  stream { ${streamFields} }
  ... on StreamSnapshot { reason }
  ... on StreamCreated { amountSats }
  ... on StreamUpdated { withdrawableSats percentComplete }
  ... on StreamWithdrawn { amountSats totalWithdrawnSats remainingSats }
  ... on StreamPaused { vestedSats }
  ... on StreamResumed { endsAt }
  ... on StreamCancelled { vestedSats unvestedSats feeSats cancelledBy { id } }
  ... on StreamSettled { settledSats transaction }
  ... on StreamTransferred { from { id } to { id } }`;

export const watchStream = `
  subscription ($id: ID!, $after: Cursor) { streamUpdated(id: $id, after: $after) { ${eventFields} } }`;

export const watchSettlements = `
  subscription ($id: ID!, $after: Cursor) {
    settleFinished(streamId: $id, after: $after) { __typename id cursor settledSats transaction stream { id state } }
  }`;

export const readStream = `query ($id: ID!) { stream(id: $id) { ${streamFields} cursor } }`;

/** The commands of streams. */
export const streamCommands = [
  'createStream',
  'withdrawFromStream',
  'settleStream',
  'pauseStream',
  'resumeStream',
  'cancelStream',
] as const;

export type StreamCommand = (typeof streamCommands)[number];

/** Sends a command of streams, with a key of its own unless one is given. */
function sendCommand(
  app: Pick<Clients, 'send'>,
  command: StreamCommand,
  input: object,
  as: As,
): Promise<Result> {
  const type = `${command.charAt(0).toUpperCase()}${command.slice(1)}Input`;
  return app.send(
    `mutation ($input: ${type}!) { ${command}(input: $input) { stream { ${streamFields} } } }`,
    { input: { idempotencyKey: key(), ...input } },
    as,
  );
}

/** The stream that a command has changed; fails when it was refused. */
export async function doCommand(
  app: Pick<Clients, 'send'>,
  command: StreamCommand,
  input: object,
  as: As,
): Promise<Json> {
  const { data, errors } = await sendCommand(app, command, input, as);
  if (errors || !data) throw new Error(JSON.stringify(errors));
  return data[command].stream;
}

/** Why a command is refused: its code, with the reason or the argument. */
export async function refusalOf(
  app: Pick<Clients, 'send'>,
  command: StreamCommand,
  input: object,
  as: As,
): Promise<object | undefined> {
  return (await sendCommand(app, command, input, as)).errors?.[0]?.extensions;
}

/** What was told of a stream for good: neither the snapshot nor how far it has vested. */
export const keptOf = (received: Received): Json[] =>
  received.events.filter(
    ({ __typename }) => __typename !== 'StreamSnapshot' && __typename !== 'StreamUpdated',
  );

export const typesOf = (received: Received): string[] => keptOf(received).map(({ __typename }) => __typename);

/** Makes another user the recipient, as a sale does; answers what was passed on; sats. */
export function transferClaim(
  { services }: Pick<TestApp, 'services'>,
  streamId: string,
  to: string,
): Promise<{ readonly stream: Stream; readonly remainingSats: bigint; readonly withdrawableSats: bigint }> {
  const { db, streams, feeds } = services;
  return db.transaction(async (tx) => {
    const stream = await streams.claims.lock(tx, streamId);
    const remainingSats = streams.claims.remainingOf(stream);
    streams.claims.transfer(tx, stream, to);
    return { stream, remainingSats, withdrawableSats: withdrawableAt(stream, feeds.clock.now()) };
  });
}

/** Has a chain reach a height. */
export function reach(
  { services }: Pick<TestApp, 'services'>,
  height: number,
  chain: 'BITCOIN' | 'STACKS' = 'BITCOIN',
): Promise<void> {
  const { db, streamHeights } = services;
  return db.transaction((tx) => streamHeights.reached(tx, chain, height));
}

/** What happened to a user, as their activity has it. */
export async function activityOf({ services }: Pick<TestApp, 'services'>, userId: string): Promise<string[]> {
  const rows = await services.feeds.log.readPage(`user:${userId}`, 0, 1_000);
  return rows.map(({ event }) => event.type);
}
