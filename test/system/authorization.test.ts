import { randomBytes, randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildSchema } from '../../src/graphql/schema.ts';
import { hashToken } from '../../src/platform/auth/access-tokens.ts';
import { createTokenIssuer } from '../../src/platform/auth/tokens.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { useTestApp } from '../support/app.ts';
import type { As, Json } from '../support/clients.ts';
import { closeSession, createJob, key, openSession, topUpSession } from '../support/operations.ts';
import { openSocket } from '../support/raw-socket.ts';
import { openStream } from '../support/raw-sse.ts';
import { type RootField, rootFields, smallestOperation } from '../support/schema-rules.ts';

const secret = 'a secret of the test that is long enough';
const app = useTestApp({ JWT_SECRET: secret });

/** A token as another server, or this one at another time, would have made it. */
function foreignToken(madeWith: string, secondsAgo = 0): Promise<string> {
  const issuer = createTokenIssuer({
    secret: Buffer.from(madeWith),
    clock: { now: () => systemClock.now() - secondsAgo * 1000 },
  });
  return issuer.issue({ subject: 'alice', roles: ['USER'], expiresInSeconds: 60 });
}

interface Made {
  readonly job: Json;
  readonly session: Json;
  readonly accessToken: string;
}

const tokens: Record<'alice' | 'bob' | 'service' | 'admin' | 'expired' | 'forged', string> = {} as never;
/** What alice owns, and what two anonymous callers own. */
let alices: Made;
let anonymous: Made;
let others: Made;

async function make(as: As): Promise<Made> {
  const { job, accessToken } = await createJob(app(), 'Something private.', as);
  const { session } = await openSession(app(), 500, as);
  return { job, session, accessToken };
}

beforeAll(async () => {
  tokens.alice = await app().token('alice');
  tokens.bob = await app().token('bob');
  tokens.service = await app().token('worker', ['SERVICE']);
  tokens.admin = await app().token('root', ['ADMIN']);
  tokens.expired = await foreignToken(secret, 61);
  tokens.forged = await foreignToken('a secret that nobody has told the server');
  alices = await make({ token: tokens.alice });
  anonymous = await make({});
  others = await make({});
});

/** One operation by id, as a client sends it. */
interface ById {
  readonly name: string;
  readonly query: string;
  /** The variables for an id, which is that of one of a `Made` where it exists. */
  readonly variables: (id: string) => Json;
  readonly idOf: (made: Made) => string;
}

const idOfJob = ({ job }: Made) => job.id as string;
const idOfSession = ({ session }: Made) => session.id as string;

function query(name: string, argument: string, idOf: (made: Made) => string): ById {
  return {
    name: `${name}(${argument}:) of ${idOf.name}`,
    query: `query ($id: ID!) { ${name}(${argument}: $id) { id } }`,
    variables: (id) => ({ id }),
    idOf,
  };
}

function mutation(document: string, idOf: (made: Made) => string, input: Json = {}): ById {
  const idempotencyKey = key();
  const [, name = ''] = /(\w+)\(input: \$input\)/.exec(document) ?? [];
  const argument = document.includes('Job') ? 'jobId' : 'sessionId';
  return {
    name,
    query: document,
    variables: (id) => ({ input: { ...input, [argument]: id, idempotencyKey } }),
    idOf,
  };
}

function subscription(name: string, idOf: (made: Made) => string): ById {
  return {
    name,
    query: `subscription ($id: ID!) { ${name}(id: $id) { id } }`,
    variables: (id) => ({ id }),
    idOf,
  };
}

const evaluationHash = ({ job }: Made) => job.evalInvoice.paymentHash as string;
const depositHash = ({ session }: Made) => session.depositInvoice.paymentHash as string;

const reads = [
  query('job', 'id', idOfJob),
  query('session', 'id', idOfSession),
  query('node', 'id', idOfJob),
  query('node', 'id', idOfSession),
  query('invoice', 'paymentHash', evaluationHash),
  query('invoice', 'paymentHash', depositHash),
];

const ownersMutations = [
  mutation(topUpSession, idOfSession, { amountSats: 100 }),
  mutation(closeSession, idOfSession),
];

const subscriptions = [
  subscription('jobUpdated', idOfJob),
  subscription('sessionUpdated', idOfSession),
  subscription('sessionDebited', idOfSession),
];

const random = () => randomBytes(16).toString('base64url');

/** Ids of nothing: some that could be, and some that could not. */
const ofNothing = [
  `job_${random()}`,
  `ses_${random()}`,
  `inv_${random()}`,
  `usr_${random()}`,
  `evt_${random()}`,
  randomBytes(32).toString('hex'),
  randomUUID(),
  '',
  'x',
  'job',
  'job_',
  'ses_!',
  '__proto__',
  'job_\u0000aaaaaaaaaaaaaaaaaaaaa',
  "job_' OR 1=1 --",
  `job_${'a'.repeat(5_000)}`,
  '0',
  'työ_𝒙',
];

async function overHttp({ query: document }: ById, variables: Json, as: As): Promise<string> {
  const response = await fetch(app().url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(as.token !== undefined && { authorization: `Bearer ${as.token}` }),
      ...(as.accessTokens && { 'x-access-tokens': as.accessTokens.join(',') }),
    },
    body: JSON.stringify({ query: document, variables }),
  });
  return `${response.status} ${await response.text()}`;
}

async function overSse({ query: document }: ById, variables: Json, as: As): Promise<string> {
  const stream = await openStream(app().url, document, variables, as);
  return `${stream.status} ${await stream.end()}`;
}

/** Sends operations on one socket, and answers all that came for each, as if its id had been the same. */
async function overWebSocket(operation: ById, allVariables: readonly Json[], as: As): Promise<string[]> {
  const { token, accessTokens } = as;
  const socket = await openSocket(app().webSocketUrl, {
    params: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(accessTokens && { accessTokens }),
    },
  });
  const idOf = (index: number) => `operation-${index}-`;
  for (const [index, variables] of allVariables.entries())
    socket.subscribe(idOf(index), operation.query, variables);
  const answers = await Promise.all(
    allVariables.map(async (_, index) => {
      await socket.over(idOf(index));
      const texts = socket.texts.filter((text) => text.includes(idOf(index)));
      return texts.join('\n').replaceAll(idOf(index), 'operation');
    }),
  );
  await socket.close();
  return answers;
}

const codes = (answer: string) => [...answer.matchAll(/"code":"(\w+)"/g)].map(([, code]) => code);

/** Asserts that an operation is refused with one code on every transport, byte for byte alike for all ids. */
async function expectSameRefusal(
  operation: ById,
  code: string,
  ids: readonly string[],
  as: As,
  transports: readonly ('HTTP' | 'WEBSOCKET' | 'SSE')[],
): Promise<void> {
  const all = ids.map(operation.variables);
  const answers: Record<string, string[]> = {};
  if (transports.includes('HTTP'))
    answers.http = await Promise.all(all.map((variables) => overHttp(operation, variables, as)));
  if (transports.includes('SSE'))
    answers.sse = await Promise.all(all.map((variables) => overSse(operation, variables, as)));
  if (transports.includes('WEBSOCKET')) answers.webSocket = await overWebSocket(operation, all, as);
  for (const each of Object.values(answers)) {
    expect(each).toHaveLength(ids.length);
    expect(new Set(each).size, each.join('\n')).toBe(1);
    expect(codes(each[0] as string)).toEqual([code]);
  }
}

describe.each([...reads, ...ownersMutations])('$name', (operation) => {
  const transports = ['HTTP', 'WEBSOCKET'] as const;

  it('answers alike for what is foreign, missing and malformed', async () => {
    const ids = [operation.idOf(alices), operation.idOf(anonymous), ...ofNothing];
    await expectSameRefusal(operation, 'FORBIDDEN', ids, { token: tokens.bob }, transports);
  });

  it('answers alike to the holder of an access token for something else', async () => {
    const ids = [operation.idOf(alices), operation.idOf(anonymous), ...ofNothing.slice(0, 8)];
    await expectSameRefusal(operation, 'FORBIDDEN', ids, { token: others.accessToken }, transports);
    const beside = { token: tokens.bob, accessTokens: [others.accessToken] };
    await expectSameRefusal(operation, 'FORBIDDEN', ids, beside, transports);
  });

  it('tells an anonymous caller nothing but that credentials are needed', async () => {
    const ids = [operation.idOf(alices), operation.idOf(anonymous), ...ofNothing];
    await expectSameRefusal(operation, 'UNAUTHENTICATED', ids, {}, transports);
  });
});

describe.each(subscriptions)('$name', (operation) => {
  const transports = ['SSE', 'WEBSOCKET'] as const;

  it('answers alike for what is foreign, missing and malformed', async () => {
    const ids = [operation.idOf(alices), operation.idOf(anonymous), ...ofNothing];
    await expectSameRefusal(operation, 'FORBIDDEN', ids, { token: tokens.bob }, transports);
  });

  it('answers alike to the holder of an access token for something else', async () => {
    const ids = [operation.idOf(alices), operation.idOf(anonymous), ...ofNothing.slice(0, 8)];
    await expectSameRefusal(operation, 'FORBIDDEN', ids, { token: others.accessToken }, transports);
  });

  it('tells an anonymous caller nothing but that credentials are needed', async () => {
    const ids = [operation.idOf(alices), operation.idOf(anonymous), ...ofNothing];
    await expectSameRefusal(operation, 'UNAUTHENTICATED', ids, {}, transports);
  });
});

describe('node', () => {
  const node = reads[2] as ById;

  it('shows nobody else, and no event', async () => {
    const { viewer } = await app().ask('{ viewer { user { id } } }', {}, { token: tokens.alice });
    const ids = [viewer.user.id, `usr_${random()}`, 'usr_'];
    await expectSameRefusal(node, 'FORBIDDEN', ids, { token: tokens.bob }, ['HTTP', 'WEBSOCKET']);
  });

  it('shows an invoice to whom it belongs, and to nobody else', async () => {
    const { invoice } = await app().ask(
      'query ($id: ID!) { invoice(paymentHash: $id) { id } }',
      { id: evaluationHash(alices) },
      { token: tokens.alice },
    );
    const own = await app().ask(node.query, { id: invoice.id }, { token: tokens.alice });
    expect(own).toEqual({ node: { id: invoice.id } });
    const ids = [invoice.id, `inv_${random()}`, 'inv_', 'inv_\u0000'];
    await expectSameRefusal(node, 'FORBIDDEN', ids, { token: tokens.bob }, ['HTTP', 'WEBSOCKET']);
  });
});

describe.each(ownersMutations)('$name', (operation) => {
  it.each(['service', 'admin'] as const)('is for the owner alone, not for %s', async (role) => {
    const ids = [operation.idOf(alices), operation.idOf(anonymous), ...ofNothing.slice(0, 4)];
    await expectSameRefusal(operation, 'FORBIDDEN', ids, { token: tokens[role] }, ['HTTP', 'WEBSOCKET']);
    const { session } = await app().ask(
      'query ($id: ID!) { session(id: $id) { state topUps { edges { cursor } } } }',
      { id: idOfSession(alices) },
      { token: tokens[role] },
    );
    expect(session).toEqual({ state: 'AWAITING_PAYMENT', topUps: { edges: [] } });
  });
});

describe('operations of a worker', () => {
  const working = {
    claimAgentJob: '',
    reportProgress: '',
    submitEvaluation: 'accepted: true, workPriceSats: 5, ',
    submitResult: 'result: "Done.", ',
    failJob: 'reason: "Not today.", ',
  };

  it.each(Object.entries(working))('%s answers alike for ids of nothing', async (name, fields) => {
    const operation: ById = {
      name,
      query: `mutation ($id: ID!) { ${name}(input: { ${fields}jobId: $id ${
        fields === '' ? '' : `idempotencyKey: "${key()}"`
      } }) { job { id } } }`,
      variables: (id) => ({ id }),
      idOf: idOfJob,
    };
    await expectSameRefusal(operation, 'FORBIDDEN', ofNothing, { token: tokens.service }, ['HTTP']);
  });

  it('debitSession answers alike for ids of nothing', async () => {
    const debit = mutation(
      'mutation ($input: DebitSessionInput!) { debitSession(input: $input) { id } }',
      idOfSession,
      { amountSats: 1 },
    );
    await expectSameRefusal(debit, 'FORBIDDEN', ofNothing, { token: tokens.service }, ['HTTP', 'WEBSOCKET']);
  });

  it('stubPay answers alike for payment hashes of nothing', async () => {
    const pay: ById = {
      name: 'stubPay',
      query: 'mutation ($id: ID!) { stubPay(paymentHash: $id) { state } }',
      variables: (id) => ({ id }),
      idOf: evaluationHash,
    };
    await expectSameRefusal(pay, 'FORBIDDEN', ofNothing, { token: tokens.bob }, ['HTTP']);
  });
});

describe('roles', () => {
  const callers = {
    anonymous: () => ({ as: {}, scopes: ['anyone'] }),
    'the holder of an access token': () => ({
      as: { token: others.accessToken },
      scopes: ['anyone', 'credentials'],
    }),
    USER: () => ({ as: { token: tokens.bob }, scopes: ['anyone', 'credentials', 'user'] }),
    SERVICE: () => ({ as: { token: tokens.service }, scopes: ['anyone', 'credentials', 'user', 'service'] }),
    ADMIN: () => ({ as: { token: tokens.admin }, scopes: ['anyone', 'credentials', 'user', 'admin'] }),
  };
  const fields = rootFields(buildSchema());

  const asById = (field: RootField): ById => {
    const { query: document, variables } = smallestOperation(field);
    return { name: field.field.name, query: document, variables: () => variables, idOf: idOfJob };
  };

  it.each(Object.entries(callers))('%s may use no field that is meant for others', async (name, caller) => {
    const { as, scopes } = caller();
    const closed = fields.filter(({ scope }) => !scopes.includes(scope as string));
    expect(closed.length).toBeGreaterThan(0);
    const code = name === 'anonymous' ? 'UNAUTHENTICATED' : 'FORBIDDEN';
    for (const field of closed) {
      const stream = field.kind === 'subscription';
      await expectSameRefusal(
        asById(field),
        code,
        ['x'],
        as,
        stream ? ['SSE', 'WEBSOCKET'] : ['HTTP', 'WEBSOCKET'],
      );
    }
  });

  it('are what keeps USER from the operations of SERVICE and ADMIN', () => {
    const closed = fields.filter(({ scope }) => scope === 'service' || scope === 'admin');
    expect(closed.map(({ field }) => field.name).sort()).toEqual([
      'agentJobReady',
      'agentJobs',
      'claimAgentJob',
      'debitSession',
      'failJob',
      'reportProgress',
      'revokeTokens',
      'setTreasuryMembers',
      'submitEvaluation',
      'submitResult',
    ]);
  });
});

describe('a token that is not valid', () => {
  const node = reads[2] as ById;
  const jobUpdated = subscriptions[0] as ById;
  const refusals = {
    expired: { reason: 'TOKEN_EXPIRED', close: { code: 4403, reason: 'Token expired' } },
    forged: { reason: 'TOKEN_INVALID', close: { code: 4401, reason: 'The token is not valid.' } },
  };

  it.each(Object.entries(refusals))('is refused when it is %s, whatever is asked', async (name, refusal) => {
    const as = { token: tokens[name as keyof typeof refusals] };
    const answers = new Set<string>();
    for (const id of [idOfJob(alices), ...ofNothing.slice(0, 8)]) {
      answers.add(await overHttp(node, { id }, as));
      answers.add(await overSse(jobUpdated, { id }, as));
    }
    answers.add(await overHttp({ ...node, query: '{ viewer { roles } }' }, {}, as));
    expect([...answers]).toHaveLength(1);
    const [answer = ''] = answers;
    expect(answer.slice(0, 4)).toBe('401 ');
    expect(JSON.parse(answer.slice(4)).errors).toMatchObject([
      { extensions: { code: 'UNAUTHENTICATED', reason: refusal.reason } },
    ]);
    const socket = await openSocket(app().webSocketUrl, { params: { authorization: `Bearer ${as.token}` } });
    expect(await socket.closed).toEqual(refusal.close);
    expect(socket.texts).toEqual([]);
  });

  it.each(['Basic YWxpY2U6', 'Bearer', 'Bearer a b', 'Bearer swt_nothing', 'alice', 'Bearer x.y.z'])(
    'is refused as %j',
    async (authorization) => {
      const response = await fetch(app().url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization },
        body: JSON.stringify({ query: '{ viewer { roles } }' }),
      });
      expect(response.status).toBe(401);
      expect(await response.json()).toMatchObject({
        errors: [{ extensions: { code: 'UNAUTHENTICATED', reason: 'TOKEN_INVALID' } }],
      });
      const socket = await openSocket(app().webSocketUrl, { params: { authorization } });
      expect(await socket.closed).toMatchObject({ code: 4401 });
    },
  );
});

describe('access tokens', () => {
  const jobState = 'query ($id: ID!) { job(id: $id) { id ... on AgentJob { state } } }';

  it('open their own object alone, as the bearer token', async () => {
    const as = { token: anonymous.accessToken };
    expect(await app().ask(jobState, { id: idOfJob(anonymous) }, as)).toMatchObject({
      job: { state: 'AWAITING_EVAL_PAYMENT' },
    });
    const { errors } = await app().send(jobState, { id: idOfJob(others) }, as);
    expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    expect(await app().ask('{ viewer { roles } }', {}, as)).toEqual({ viewer: null });
  });

  it('are taken up to twenty at a time, beside a bearer token or without one', async () => {
    const made = await Promise.all(Array.from({ length: 21 }, () => createJob(app(), 'One of many.')));
    const all = made.map(({ accessToken }) => accessToken);
    const ids = made.map(({ job }) => job.id as string);
    const query20 = `{ ${ids
      .slice(0, 20)
      .map((id, index) => `j${index}: job(id: "${id}") { id }`)
      .join(' ')} }`;
    for (const token of [undefined, tokens.bob, anonymous.accessToken]) {
      const data = await app().ask(query20, {}, { token, accessTokens: all.slice(0, 20) });
      expect(Object.values(data).map((job: Json) => job.id)).toEqual(ids.slice(0, 20));
    }
    const socket = await openSocket(app().webSocketUrl, { params: { accessTokens: all.slice(0, 20) } });
    socket.subscribe('all', query20);
    expect(Object.keys((await socket.over('all'))[0].payload.data)).toHaveLength(20);
    // As GraphiQL sends what is written into its headers editor.
    const header = await openSocket(app().webSocketUrl, {
      params: { 'X-Access-Tokens': all.slice(0, 20).join(', ') },
    });
    header.subscribe('all', query20);
    expect(Object.keys((await header.over('all'))[0].payload.data)).toHaveLength(20);

    const response = await overHttp(
      { ...(reads[0] as ById), query: '{ viewer { roles } }' },
      {},
      { accessTokens: all },
    );
    expect(response.slice(0, 4)).toBe('400 ');
    expect(JSON.parse(response.slice(4)).errors[0].extensions).toEqual({
      code: 'BAD_USER_INPUT',
      argument: 'accessTokens',
    });
    const refused = await openSocket(app().webSocketUrl, { params: { accessTokens: all } });
    expect(await refused.closed).toEqual({ code: 4401, reason: 'At most 20 access tokens.' });
  });

  it.each([
    ['one that is none', () => [anonymous.accessToken, `swt_${random()}`]],
    ['a token of a user', () => [tokens.alice]],
    ['something else', () => [7, null]],
  ])('are refused as a whole with %s among them', async (_name, list) => {
    const params = { accessTokens: list() };
    const socket = await openSocket(app().webSocketUrl, { params });
    expect(await socket.closed).toMatchObject({ code: 4401 });
    const { errors } = await app().send('{ viewer { roles } }', {}, { accessTokens: list().map(String) });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'TOKEN_INVALID' });
  });

  it('are handed out to whoever made the object, and on repetition of that very request alone', async () => {
    const create =
      'mutation ($input: CreateJobInput!) { createJob(input: $input) { accessToken job { id } } }';
    const input = { prompt: 'Mine.', idempotencyKey: key() };
    const { createJob: first } = await app().ask(create, { input });
    expect((await app().ask(create, { input })).createJob).toEqual(first);
    const { createJob: owned } = await app().ask(create, { input }, { token: tokens.bob });
    expect(owned.accessToken).toBeNull();
    expect(owned.job.id).not.toBe(first.job.id);
    const { createJob: byHolder } = await app().ask(create, { input }, { token: first.accessToken });
    expect(byHolder.job.id).not.toBe(first.job.id);
  });

  it('are stored as hashes alone', async () => {
    const rows = await app().services.db.query<{ row: string }>('SELECT t::text AS row FROM access_tokens t');
    const stored = rows.map(({ row }) => row).join('\n');
    expect(stored).toContain(hashToken(anonymous.accessToken));
    expect(stored).not.toContain(anonymous.accessToken);
    expect(stored).not.toContain(anonymous.accessToken.slice(4));
  });
});

it('has changed nothing by all that was refused', async () => {
  const { session } = await app().ask(
    'query ($id: ID!) { session(id: $id) { state topUps { edges { cursor } } } }',
    { id: idOfSession(alices) },
    { token: tokens.alice },
  );
  expect(session).toEqual({ state: 'AWAITING_PAYMENT', topUps: { edges: [] } });
  expect(app().hub.size().members).toBe(1);
});
