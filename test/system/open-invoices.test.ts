import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startTestApp, type TestApp, useTestApp } from '../support/app.ts';
import type { As, Json, Received, Result } from '../support/clients.ts';
import { standingClock } from '../support/clock.ts';
import { createJob, key, openSession, topUpSession } from '../support/operations.ts';
import { until } from '../support/until.ts';

const makeJob = `
  mutation ($input: CreateJobInput!) {
    createJob(input: $input) { accessToken job { id evalInvoice { paymentHash } } }
  }`;

const newJob = (idempotencyKey = key()) => ({ input: { prompt: 'Count me.', idempotencyKey } });

const paymentHashOf = ({ data }: Result): string => data.createJob.job.evalInvoice.paymentHash;

const limited = (maximum: number, retryAfterMs: unknown) => ({
  data: null,
  errors: [
    {
      message: `At most ${maximum} invoices may be open at a time: pay one, or wait until one expires.`,
      extensions: { code: 'RATE_LIMITED', retryAfterMs },
    },
  ],
});

/** Sends an operation as a proxy would that had it from an address. */
async function sendFrom(
  app: TestApp,
  forwardedFor: string,
  { query = makeJob, variables = newJob() as Record<string, unknown>, as = {} as As } = {},
): Promise<Result> {
  const response = await fetch(app.url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-forwarded-for': forwardedFor,
      ...(as.token !== undefined && { authorization: `Bearer ${as.token}` }),
    },
    body: JSON.stringify({ query, variables }),
  });
  return (await response.json()) as Result;
}

/** A WebSocket that a proxy has opened for an address. */
function socketFrom(app: TestApp, forwardedFor: string) {
  class Forwarded extends WebSocket {
    constructor(url: string, protocols: string) {
      super(url, protocols, { headers: { 'x-forwarded-for': forwardedFor } });
    }
  }
  return app.socket({}, { webSocketImpl: Forwarded });
}

const outcomeOf = ({ errors }: Result): string => errors?.[0]?.extensions.code ?? 'MADE';

it('is not counted by address for whoever tries things out on this machine', async () => {
  for (const HOST of ['127.0.0.1', '::1']) {
    const app = await startTestApp({ HOST, LIMIT_OPEN_INVOICES: '1' });
    for (let n = 0; n < 3; n += 1) expect(outcomeOf(await app.send(makeJob, newJob()))).toBe('MADE');
  }
});

describe('a user', () => {
  const clock = standingClock();
  const app = useTestApp({ INVOICE_EXPIRY_SECONDS: '600' }, { clock });

  it('has at most 20 invoices open; paying one makes room, and so does one that expires', async () => {
    const alice = { token: await app().token('alice') };
    const made: string[] = [];
    for (let n = 0; n < 20; n += 1) {
      made.push(paymentHashOf(await app().send(makeJob, newJob(), alice)));
      clock.advance(1_000);
    }
    const refused = await app().send(makeJob, newJob(), alice);
    expect(refused).toMatchObject(limited(20, 580_000));

    const bob = { token: await app().token('bob') };
    expect(outcomeOf(await app().send(makeJob, newJob(), bob))).toBe('MADE');

    await app().pay(made[7] as string);
    expect(outcomeOf(await app().send(makeJob, newJob(), alice))).toBe('MADE');
    expect(await app().send(makeJob, newJob(), alice)).toMatchObject(limited(20, 580_000));

    clock.advance(580_000);
    expect(outcomeOf(await app().send(makeJob, newJob(), alice))).toBe('MADE');
    expect(await app().send(makeJob, newJob(), alice)).toMatchObject(limited(20, 1_000));
  });

  it('gets the answer of a request that is repeated, also at the limit', async () => {
    const carol = { token: await app().token('carol') };
    const first = newJob();
    const { data } = await app().send(makeJob, first, carol);
    for (let n = 0; n < 19; n += 1) await app().send(makeJob, newJob(), carol);
    expect(outcomeOf(await app().send(makeJob, newJob(), carol))).toBe('RATE_LIMITED');
    expect(await app().send(makeJob, first, carol)).toEqual({ data });
  });

  it('makes no job of a request that is refused, and may repeat it later', async () => {
    const dave = { token: await app().token('dave') };
    const made: string[] = [];
    for (let n = 0; n < 20; n += 1) made.push(paymentHashOf(await app().send(makeJob, newJob(), dave)));
    const jobs = () => app().services.db.query('SELECT id FROM agent_jobs ORDER BY id');
    const before = await jobs();
    const later = newJob();
    expect(outcomeOf(await app().send(makeJob, later, dave))).toBe('RATE_LIMITED');
    expect(await jobs()).toEqual(before);
    await app().pay(made[0] as string);
    expect(outcomeOf(await app().send(makeJob, later, dave))).toBe('MADE');
  });
});

describe('every invoice that somebody asks for', () => {
  const app = useTestApp({ LIMIT_OPEN_INVOICES: '2' });

  it('counts: of jobs, deposits and top-ups', async () => {
    const alice = { token: await app().token('alice') };
    const { session } = await openSession(app(), 100, alice);
    await app().pay(session.depositInvoice.paymentHash);
    const topUp = () =>
      app().send(
        topUpSession,
        { input: { sessionId: session.id, amountSats: 5, idempotencyKey: key() } },
        alice,
      );
    const first = await topUp();
    const { job } = await createJob(app(), 'x', alice);
    expect(await topUp()).toMatchObject(limited(2, expect.any(Number)));
    await expect(createJob(app(), 'x', alice)).rejects.toThrow(/RATE_LIMITED/);
    await expect(openSession(app(), 100, alice)).rejects.toThrow(/RATE_LIMITED/);
    await app().pay(first.data.topUpSession.invoice.paymentHash);
    expect(outcomeOf(await topUp())).toBe('MADE');
    expect(outcomeOf(await topUp())).toBe('RATE_LIMITED');
    await app().pay(job.evalInvoice.paymentHash);
    await openSession(app(), 100, alice);
  });

  it('counts no more for its owner once what it was for is closed', async () => {
    const erin = { token: await app().token('erin') };
    const { session } = await openSession(app(), 100, erin);
    await openSession(app(), 100, erin);
    await expect(openSession(app(), 100, erin)).rejects.toThrow(/RATE_LIMITED/);
    await app().pay(session.depositInvoice.paymentHash);
    const topUp = { input: { sessionId: session.id, amountSats: 5, idempotencyKey: key() } };
    await app().ask(topUpSession, topUp, erin);
    await expect(openSession(app(), 100, erin)).rejects.toThrow(/RATE_LIMITED/);
    await app().ask(
      'mutation ($input: CloseSessionInput!) { closeSession(input: $input) { session { state } } }',
      { input: { sessionId: session.id, idempotencyKey: key() } },
      erin,
    );
    await openSession(app(), 100, erin);
  });

  it('counts for the holder of an access token by what that opens', async () => {
    const { session, as } = await openSession(app(), 100);
    await app().pay(session.depositInvoice.paymentHash);
    const topUp = (sessionId: string, by: As) =>
      app().send(topUpSession, { input: { sessionId, amountSats: 5, idempotencyKey: key() } }, by);
    expect([
      outcomeOf(await topUp(session.id, as)),
      outcomeOf(await topUp(session.id, as)),
      outcomeOf(await topUp(session.id, as)),
    ]).toEqual(['MADE', 'MADE', 'RATE_LIMITED']);
    const other = await openSession(app(), 100);
    await app().pay(other.session.depositInvoice.paymentHash);
    expect(outcomeOf(await topUp(other.session.id, other.as))).toBe('MADE');
  });

  it('counts for nobody when a service asks, or when the agent has evaluated a job', async () => {
    const service = { token: await app().token('service', ['SERVICE']) };
    for (let n = 0; n < 5; n += 1)
      expect(outcomeOf(await app().send(makeJob, newJob(), service))).toBe('MADE');

    const frank = { token: await app().token('frank') };
    for (let n = 0; n < 3; n += 1) {
      const { job } = await createJob(app(), 'x', frank);
      await app().pay(job.evalInvoice.paymentHash);
      await until('the invoice of the work', async () => {
        const { job: shown } = await app().ask(
          'query ($id: ID!) { job(id: $id) { ... on AgentJob { workInvoice { state } } } }',
          { id: job.id },
          frank,
        );
        return shown.workInvoice?.state === 'OPEN';
      });
    }
  });

  it('counts one of two that are made at once at the edge', async () => {
    for (let n = 0; n < 5; n += 1) {
      const greta = { token: await app().token(`greta ${n}`) };
      await createJob(app(), 'x', greta);
      const both = await Promise.all([1, 2].map(() => app().send(makeJob, newJob(), greta)));
      expect(both.map(outcomeOf).sort()).toEqual(['MADE', 'RATE_LIMITED']);
    }
  });

  it('counts for nobody on this machine itself', async () => {
    for (let n = 0; n < 4; n += 1) expect(outcomeOf(await app().send(makeJob, newJob()))).toBe('MADE');
    // No proxy is trusted here, so that what this says is not believed.
    for (let n = 0; n < 4; n += 1) expect(outcomeOf(await sendFrom(app(), '203.0.113.7'))).toBe('MADE');
  });
});

describe('who presents nothing', () => {
  const app = useTestApp({ LIMIT_OPEN_INVOICES: '2', TRUST_PROXY: '1' });

  it('is counted by address', async () => {
    const first = await sendFrom(app(), '203.0.113.1');
    expect(outcomeOf(await sendFrom(app(), '203.0.113.1'))).toBe('MADE');
    expect(await sendFrom(app(), '203.0.113.1')).toMatchObject(limited(2, expect.any(Number)));
    // What stands before the address that the proxy has added anybody may have written.
    expect(outcomeOf(await sendFrom(app(), '203.0.113.99, 203.0.113.1'))).toBe('RATE_LIMITED');
    expect(outcomeOf(await sendFrom(app(), '203.0.113.1, 203.0.113.2'))).toBe('MADE');
    await app().pay(paymentHashOf(first));
    expect(outcomeOf(await sendFrom(app(), '203.0.113.1'))).toBe('MADE');
    expect(outcomeOf(await sendFrom(app(), '203.0.113.1'))).toBe('RATE_LIMITED');
  });

  it('is counted by what one subscriber has of IPv6', async () => {
    expect(outcomeOf(await sendFrom(app(), '2001:db8:1:2::1'))).toBe('MADE');
    expect(outcomeOf(await sendFrom(app(), '2001:db8:1:2:ffff::2'))).toBe('MADE');
    expect(outcomeOf(await sendFrom(app(), '2001:0db8:0001:0002::3'))).toBe('RATE_LIMITED');
    expect(outcomeOf(await sendFrom(app(), '2001:db8:1:3::1'))).toBe('MADE');
  });

  it('is counted by address for deposits too, and together with users from there', async () => {
    const deposit = {
      query: 'mutation ($input: OpenSessionInput!) { openSession(input: $input) { session { id } } }',
      variables: { input: { depositSats: 100, idempotencyKey: key() } },
    };
    expect(outcomeOf(await sendFrom(app(), '203.0.113.3', deposit))).toBe('MADE');
    const alice = { token: await app().token('alice') };
    expect(outcomeOf(await sendFrom(app(), '203.0.113.3', { as: alice }))).toBe('MADE');
    const bob = { token: await app().token('bob') };
    expect(outcomeOf(await sendFrom(app(), '203.0.113.3', { as: bob }))).toBe('RATE_LIMITED');
    expect(outcomeOf(await sendFrom(app(), '203.0.113.3'))).toBe('RATE_LIMITED');
    const service = { token: await app().token('service', ['SERVICE']) };
    expect(outcomeOf(await sendFrom(app(), '203.0.113.3', { as: service }))).toBe('MADE');
  });

  it('is counted by address over a WebSocket as over HTTP', async () => {
    const make = async (forwardedFor: string): Promise<string> => {
      const made: Received = app().watch(makeJob, newJob(), { socket: socketFrom(app(), forwardedFor) });
      await until('the answer', () => made.ended);
      const [result] = made.results as Json[];
      return made.errors?.[0]?.extensions.code ?? outcomeOf(result);
    };
    expect(await make('203.0.113.4')).toBe('MADE');
    expect(await make('203.0.113.4')).toBe('MADE');
    expect(await make('203.0.113.4')).toBe('RATE_LIMITED');
    expect(outcomeOf(await sendFrom(app(), '203.0.113.4'))).toBe('RATE_LIMITED');
    expect(await make('203.0.113.5')).toBe('MADE');
  });

  it('is counted once of two at once at the edge', async () => {
    for (let n = 0; n < 5; n += 1) {
      const address = `198.51.100.${n}`;
      await sendFrom(app(), address);
      const both = await Promise.all([sendFrom(app(), address), sendFrom(app(), address)]);
      expect(both.map(outcomeOf).sort()).toEqual(['MADE', 'RATE_LIMITED']);
    }
  });

  it('is not told apart by what is no address: that is not counted', async () => {
    for (let n = 0; n < 3; n += 1) expect(outcomeOf(await sendFrom(app(), 'unknown'))).toBe('MADE');
  });
});
