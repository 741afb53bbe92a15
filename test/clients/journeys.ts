import { afterEach, describe, expect, it } from 'vitest';
import {
  CloseSessionDocument,
  CreateJobDocument,
  JobUpdatedDocument,
  type JobUpdatedSubscription,
  OpenSessionDocument,
  SessionDebitedDocument,
  type SessionDebitedSubscription,
  SessionUpdatedDocument,
  type SessionUpdatedSubscription,
  StubPayDocument,
  TopUpSessionDocument,
} from '../gql/graphql.ts';
import type { Clients } from '../support/clients.ts';
import { debitSession, key } from '../support/operations.ts';
import { until } from '../support/until.ts';
import { createApolloClient } from './apollo.ts';
import { createEventSourceClient } from './eventsource.ts';
import { createGraphqlWsClient } from './graphql-ws.ts';
import type { ClientOptions, LiveClient } from './live-client.ts';
import { createUrqlClient } from './urql.ts';

type JobEvent = JobUpdatedSubscription['jobUpdated'];
type SessionEvent = SessionUpdatedSubscription['sessionUpdated'];

const clients: ReadonlyArray<readonly [name: string, create: (options: ClientOptions) => LiveClient]> = [
  ['Apollo Client', createApolloClient],
  ['urql', createUrqlClient],
  ['graphql-ws alone', createGraphqlWsClient],
  ['EventSource with a ticket', createEventSourceClient],
];

/** Where the journeys go: commands to one address, subscriptions to others, which may be of another node. */
export interface Places extends Pick<Clients, 'token' | 'ask'> {
  readonly url: string;
  readonly webSocketUrl: string | undefined;
  readonly streamUrl: string;
}

const running: LiveClient[] = [];
afterEach(async () => {
  for (const client of running.splice(0)) await client.dispose();
});

/** Subscribes, and keeps what comes; `first` waits for an event of a type, and answers it as that type. */
function collect<Event extends { readonly __typename: string }>(
  subscribe: (hear: (event: Event) => void) => () => void,
) {
  const events: Event[] = [];
  const stop = subscribe((event) => events.push(event));
  const first = <Name extends Event['__typename']>(name: Name) =>
    until(
      `a ${name}`,
      () => events.find((event) => event.__typename === name) as Extract<Event, { __typename: Name }>,
    );
  return { events, first, stop };
}

const watchJob = (client: LiveClient, id: string, after?: string) =>
  collect<JobEvent>((hear) =>
    client.watch(JobUpdatedDocument, { id, after: after ?? null }, ({ jobUpdated }) => hear(jobUpdated)),
  );

/** The types of the events that are kept, as any number of reports may come between them. */
const kept = (events: readonly JobEvent[]) =>
  events.map((event) => event.__typename).filter((name) => name !== 'JobProgressed');

/** The journeys of a job and of a session, with each of the client libraries. */
export function describeJourneys(places: () => Places): void {
  async function start(create: (options: ClientOptions) => LiveClient): Promise<LiveClient> {
    const { url, webSocketUrl, streamUrl, token } = places();
    const client = create({
      url,
      webSocketUrl: webSocketUrl as string,
      streamUrl,
      token: await token('alice'),
    });
    running.push(client);
    return client;
  }

  describe.each(clients)('%s', (_name, create) => {
    it('carries a job, cut in the middle and resumed after its cursor', async () => {
      const client = await start(create);
      const input = { prompt: 'Count to three.', idempotencyKey: key() };
      const { job } = (await client.send(CreateJobDocument, { input })).createJob;

      const before = watchJob(client, job.id);
      expect(await before.first('JobSnapshot')).toMatchObject({
        reason: 'SUBSCRIBED',
        job: { id: job.id, state: 'AWAITING_EVAL_PAYMENT' },
      });
      const paid = await client.send(StubPayDocument, { paymentHash: job.evalInvoice.paymentHash });
      expect(paid.stubPay.state).toBe('PAID');
      const { workInvoice, cursor } = await before.first('JobEvaluated');
      expect(workInvoice.amountSats).toBe(50);
      before.stop();

      await client.send(StubPayDocument, { paymentHash: workInvoice.paymentHash });
      const after = watchJob(client, job.id, cursor);
      expect(await after.first('JobCompleted')).toMatchObject({
        result: 'The stub agent has done: Count to three.',
        job: { state: 'COMPLETE' },
      });

      expect(kept(before.events)).toEqual(['JobSnapshot', 'JobPaymentConfirmed', 'JobEvaluated']);
      expect(kept(after.events)).toEqual(['JobPaymentConfirmed', 'JobWorkStarted', 'JobCompleted']);
      after.stop();
    });

    it('carries a session', async () => {
      const app = places();
      const client = await start(create);
      const opened = await client.send(OpenSessionDocument, {
        input: { depositSats: 1_000, idempotencyKey: key() },
      });
      const { session } = opened.openSession;
      const watched = collect<SessionEvent>((hear) =>
        client.watch(SessionUpdatedDocument, { id: session.id }, ({ sessionUpdated }) =>
          hear(sessionUpdated),
        ),
      );
      await watched.first('SessionSnapshot');

      await client.send(StubPayDocument, { paymentHash: session.depositInvoice.paymentHash });
      const { cursor } = await watched.first('SessionActivated');

      const service = await app.token('meter', ['SERVICE']);
      const debit = { sessionId: session.id, amountSats: 45, memo: 'three words', idempotencyKey: key() };
      await app.ask(debitSession, { input: debit }, { token: service });
      await watched.first('SessionDebited');

      const topUp = await client.send(TopUpSessionDocument, {
        input: { sessionId: session.id, amountSats: 100, idempotencyKey: key() },
      });
      await client.send(StubPayDocument, { paymentHash: topUp.topUpSession.invoice.paymentHash });
      await watched.first('SessionToppedUp');
      await client.send(CloseSessionDocument, { input: { sessionId: session.id, idempotencyKey: key() } });
      await watched.first('SessionClosed');
      watched.stop();

      expect(watched.events).toMatchObject([
        { __typename: 'SessionSnapshot', reason: 'SUBSCRIBED', session: { state: 'AWAITING_PAYMENT' } },
        { __typename: 'SessionActivated', balanceSats: 1_000 },
        { __typename: 'SessionDebited', debitedSats: 45, balanceAfter: 955, memo: 'three words' },
        { __typename: 'SessionToppedUp', creditedSats: 100, balanceAfter: 1_055 },
        { __typename: 'SessionClosed', refundedSats: 1_055, session: { state: 'CLOSED', balanceSats: 0 } },
      ]);

      const debits: Array<SessionDebitedSubscription['sessionDebited']> = [];
      const stop = client.watch(SessionDebitedDocument, { id: session.id, after: cursor }, (data) =>
        debits.push(data.sessionDebited),
      );
      await until('the debit again, from its cursor', () => debits.length > 0);
      stop();
      expect(debits).toMatchObject([{ debitedSats: 45, balanceAfter: 955, memo: 'three words' }]);
    });
  });
}
