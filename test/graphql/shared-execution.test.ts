import fc from 'fast-check';
import { execute, isObjectType, parse, validate } from 'graphql';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Context } from '../../src/graphql/context.ts';
import { createDelivery, type Frame } from '../../src/graphql/delivery.ts';
import { createMaskError } from '../../src/graphql/errors.ts';
import { buildSchema } from '../../src/graphql/schema.ts';
import { agentJobsTopic, jobTopic } from '../../src/jobs/events.ts';
import { createConnections } from '../../src/platform/auth/connections.ts';
import type { Role } from '../../src/platform/auth/tokens.ts';
import type { Viewer } from '../../src/platform/auth/viewer.ts';
import type { Delivery } from '../../src/platform/feed/rendering.ts';
import { Subscription } from '../../src/platform/feed/subscription.ts';
import { encodeCursor } from '../../src/platform/log/cursor.ts';
import type { Facts, LogEvent, TopicHead } from '../../src/platform/log/event.ts';
import { utf8Characters } from '../../src/platform/utf8.ts';
import { sessionTopic } from '../../src/sessions/events.ts';
import { useTestApp } from '../support/app.ts';
import type { Json } from '../support/clients.ts';
import { standingClock } from '../support/clock.ts';
import { createJob, openSession } from '../support/operations.ts';
import { type Pushed, push } from '../support/takers.ts';
import { until } from '../support/until.ts';

const clock = standingClock();
const app = useTestApp({ AGENT: 'external' }, { clock });
const maskError = createMaskError(() => {});

/** Whose a job and a session are, and who may watch them. */
interface World {
  readonly job: Json;
  readonly session: Json;
  readonly ownerId: string;
  readonly foreignJob: Json;
}

let users: World;
let anonymousOwner: World;

beforeAll(async () => {
  const as = { token: await app().token('alice') };
  const { viewer } = await app().ask('{ viewer { user { id } } }', {}, as);
  const make = async (owner: object) => ({
    job: (await createJob(app(), 'Mine, ä€🙂.', owner)).job,
    session: (await openSession(app(), 500, owner)).session,
  });
  const foreignJob = (await createJob(app(), 'Of somebody else.', { token: await app().token('bob') })).job;
  users = { ...(await make(as)), ownerId: viewer.user.id, foreignJob };
  anonymousOwner = { ...(await make({})), ownerId: '', foreignJob };
  for (const { job, session } of [users, anonymousOwner])
    for (const { paymentHash } of [job.evalInvoice, session.depositInvoice]) await app().pay(paymentHash);
});

const withRoles = (id: string, ...roles: Role[]): Viewer => ({
  user: { id, roles, tokenId: id, issuedAt: new Date(0), expiresAt: new Date(4e12) },
  objects: new Set(),
  bearerObject: undefined,
});

const kinds = ['OWNER', 'TOKEN', 'SERVICE', 'ADMIN', 'OWNER AND SERVICE'] as const;
type Kind = (typeof kinds)[number];

const worldOf = (kind: Kind) => (kind === 'TOKEN' ? anonymousOwner : users);

/** Somebody of a kind; of those who are not owners, always somebody else. */
function viewerOf(kind: Kind, index: number): Viewer {
  const { ownerId, job, session } = worldOf(kind);
  if (kind === 'TOKEN')
    return { user: undefined, objects: new Set([job.id, session.id]), bearerObject: job.id };
  if (kind === 'SERVICE' || kind === 'ADMIN') return withRoles(`usr_${kind}_${index}`, kind);
  return withRoles(ownerId, 'USER', ...(kind === 'OWNER' ? [] : (['SERVICE'] as const)));
}

const fields = ['jobUpdated', 'sessionUpdated', 'sessionDebited', 'activity', 'agentJobReady'] as const;
type Field = (typeof fields)[number];

const mayWatch = (kind: Kind, field: Field) =>
  (field !== 'activity' || kind.startsWith('OWNER')) &&
  (field !== 'agentJobReady' || kind.endsWith('SERVICE'));

/** Some of these selections, in any order, and at least one. */
const someOf = (...selections: string[]) =>
  fc
    .shuffledSubarray(selections, { minLength: 1, maxLength: Math.min(5, selections.length) })
    .map((chosen) => chosen.join(' '));

const invoice = someOf('id', 'paymentHash', 'amountSats', 'state', '__typename');
const events = '(first: $few) { trimmed edges { cursor node { __typename id occurredAt } } }';

const job = invoice.chain((selected) =>
  someOf(
    'id',
    'createdAt',
    'cursor',
    '__typename',
    `... on AgentJob { evalInvoice { ${selected} } workInvoice { ${selected} } }`,
    '... on AgentJob { state prompt @include(if: $more) result reason }',
    '... on AgentJob { refundable: refundableSats }',
    `events${events}`,
    '...OfNode',
  ),
);

const session = invoice.chain((selected) =>
  someOf(
    'id',
    'state',
    'balanceSats',
    'refunds: refundableSats',
    'cursor',
    'expiresAt @include(if: $more)',
    `depositInvoice { ${selected} }`,
    `topUps(first: $few) { edges { node { ${selected} } } }`,
    `events${events}`,
    '...OfNode',
  ),
);

const ofAnyEvent = someOf('id', 'cursor', 'when: occurredAt', '__typename', '... on Event { id cursor }');
const ofJobEvents = job.chain((selected) =>
  someOf(
    `... on JobEvent { job { ${selected} } }`,
    `... on JobEvent { again: job { id } other: job { ${selected} } }`,
    '... on JobSnapshot { why: reason }',
    '... on JobPaymentConfirmed { to: state invoice { paymentHash state } }',
    '... on JobRejected { why2: reason }',
    '... on JobProgressed @skip(if: $more) { percent message }',
    '... on JobPaymentReturned { returnedSats because: reason }',
  ),
);
const ofSessionEvents = session.chain((selected) =>
  someOf(
    `... on SessionEvent { session { ${selected} } }`,
    '... on SessionDebited { debitedSats balanceAfter memo }',
    '... on SessionActivated { balanceSats }',
    '... on SessionSnapshot { why3: reason }',
  ),
);

const selections: Record<Field, fc.Arbitrary<string>> = {
  jobUpdated: fc.tuple(ofAnyEvent, ofJobEvents).map((parts) => parts.join(' ')),
  agentJobReady: fc.tuple(ofAnyEvent, ofJobEvents).map((parts) => parts.join(' ')),
  sessionUpdated: fc.tuple(ofAnyEvent, ofSessionEvents).map((parts) => parts.join(' ')),
  sessionDebited: fc
    .tuple(ofAnyEvent, session, fc.boolean())
    .map(([any, selected]) => `${any} memo debitedSats session { ${selected} }`),
  activity: fc.tuple(ofAnyEvent, ofJobEvents, ofSessionEvents).map((parts) => parts.join(' ')),
};

const takesId = (field: Field) => field !== 'activity' && field !== 'agentJobReady';

function documentOf(field: Field, selection: string): string {
  const [declared, passed] = takesId(field) ? ['$id: ID!, ', 'id: $id, '] : ['', ''];
  const text = `subscription S(${declared}$after: Cursor, $more: Boolean = true, $few: Int = 3) {
    ${field}(${passed}after: $after) { ${selection} }
  }
  fragment OfNode on Node { __typename nodeId: id }`;
  return text
    .replace(/fragment OfNode[^}]*}/, (fragment) => (selection.includes('...OfNode') ? fragment : ''))
    .replace(', $more: Boolean = true', (declaration) => (selection.includes('$more') ? declaration : ''))
    .replace(', $few: Int = 3', (declaration) => (selection.includes('$few') ? declaration : ''));
}

/** A random event: what it is called, and what it says of a job or a session. */
const someEvent = fc.oneof(
  fc.record({
    type: fc.constant('JobRejected'),
    isForeign: fc.boolean(),
    facts: fc.record({ reason: fc.string({ unit: 'grapheme' }) }),
  }),
  fc.record({
    type: fc.constant('JobPaymentReturned'),
    isForeign: fc.constant(false),
    facts: fc.record({ returnedSats: fc.maxSafeNat(), reason: fc.constantFrom('SURPLUS', 'NOT_NEEDED') }),
  }),
  fc.record({
    type: fc.constant('JobWorkStarted'),
    isForeign: fc.constant(false),
    facts: fc.constant({ state: 'EXECUTING' }),
  }),
  fc.record({
    type: fc.constant('SessionDebited'),
    isForeign: fc.constant(false),
    facts: fc.record({
      debitedSats: fc.nat(),
      balanceAfter: fc.nat(),
      memo: fc.option(fc.string({ unit: 'grapheme' })),
    }),
  }),
);

const someRun = fc.constantFrom(...fields).chain((field) =>
  fc.record({
    field: fc.constant(field),
    kind: fc.constantFrom(...kinds.filter((kind) => mayWatch(kind, field))),
    selection: selections[field],
    variables: fc.record({ more: fc.boolean(), few: fc.integer({ min: 1, max: 5 }) }, { requiredKeys: [] }),
    fromStart: fc.boolean(),
    events: fc.array(someEvent, { minLength: 1, maxLength: 4 }),
    percent: fc.option(fc.nat({ max: 100 })),
  }),
);

/** Where a field's events are. */
function topicOf(field: Field, { job: ofJob, session: ofSession, ownerId }: World): string {
  if (field === 'activity') return `user:${ownerId}`;
  if (field === 'agentJobReady') return agentJobsTopic;
  return field === 'jobUpdated' ? jobTopic(ofJob.id) : sessionTopic(ofSession.id);
}

const isOf = (topic: string, type: string) =>
  topic.startsWith('user:') || topic.startsWith('session:') === type.startsWith('Session');

function system(schema = buildSchema()) {
  const { services } = app();
  const connections = createConnections({ clock });
  let notShareable = 0;
  const delivery = createDelivery({
    services,
    maskError,
    onNotShareable: () => {
      notShareable += 1;
    },
  });
  const all: Pushed<Frame>[] = [];
  const contextOf = (viewer: Viewer): Context => ({
    services,
    connection: connections.open(viewer),
    viewer,
    address: undefined,
    resumeAfter: undefined,
    loaders: new Map(),
  });
  return {
    services,
    contextOf,
    get notShareable() {
      return notShareable;
    },
    async watch(query: string, variables: Json, viewer: Viewer, isAlone = false): Promise<Pushed<Frame>> {
      const document = parse(query);
      expect(validate(schema, document)).toEqual([]);
      const started = await delivery.start({
        schema,
        document,
        variableValues: variables,
        contextValue: contextOf(viewer),
      });
      if (!(started instanceof Subscription)) throw new Error(JSON.stringify(started));
      if (isAlone) started.separate();
      const taken = push(started);
      all.push(taken);
      return taken;
    },
    /** What GraphQL itself makes of an event, for a viewer. */
    async plain(query: string, variables: Json, viewer: Viewer, rootValue: Delivery): Promise<string> {
      const result = await execute({
        schema,
        document: parse(query),
        variableValues: variables,
        rootValue,
        contextValue: contextOf(viewer),
      });
      const errors = result.errors?.map(maskError);
      return utf8Characters(JSON.stringify({ ...(errors && { errors }), data: result.data }));
    },
    end() {
      for (const { subscription } of all) subscription.end();
      connections.close();
    },
  };
}

const payloads = ({ told }: Pushed<Frame>) => told.map(({ payload }) => payload);

describe('shared execution', () => {
  it('tells each viewer byte for byte what individual execution does, and GraphQL itself', async () => {
    await fc.assert(
      fc.asyncProperty(
        someRun,
        async ({ field, kind, selection, variables, fromStart, events: added, percent }) => {
          const world = worldOf(kind);
          const counted = system();
          const { services, watch, plain, end } = counted;
          const { feeds, db } = services;
          const topic = topicOf(field, world);
          const id = field === 'jobUpdated' ? world.job.id : world.session.id;
          const query = documentOf(field, selection);
          const given = { ...variables, ...(takesId(field) && { id }), ...(fromStart && { after: 'START' }) };
          const appended = added.filter(({ type }) => isOf(topic, type));
          const isShown = (type: string) => field !== 'sessionDebited' || type === 'SessionDebited';

          const head = async () => (await feeds.log.heads([topic])).get(topic) as TopicHead;
          const before = await head();
          // Each expected event, with the state that the database has then: it is changed by nothing but this.
          const expected: Delivery[] = [];
          const place = (event: LogEvent, seq: number) =>
            expected.push({ event, cursor: encodeCursor({ topic, epoch: before.epoch, seq }) });
          const entity = { ...(topic.startsWith('session:') ? { sessionId: id } : { jobId: id }) };
          if (fromStart) {
            for (const { event, seq } of await feeds.log.readPage(topic, 0, 1_000))
              if (isShown(event.type)) place(event, seq);
          } else if (field === 'jobUpdated' || field === 'sessionUpdated') {
            const type = field === 'jobUpdated' ? 'JobSnapshot' : 'SessionSnapshot';
            const facts = { ...entity, reason: 'SUBSCRIBED' };
            place({ id: 'evt_new', type, version: 1, facts, occurredAt: new Date(clock.now()) }, before.head);
          }
          const kept = new Set((await feeds.log.readPage(topic, 0, 1_000)).map(({ event }) => event.id));
          const viewers = [0, 1, 2].map((index) => viewerOf(kind, index));
          const shared: Pushed<Frame>[] = [];
          for (const viewer of viewers) shared.push(await watch(query, given, viewer));
          const alone: Pushed<Frame>[] = [];
          for (const viewer of viewers) alone.push(await watch(query, given, viewer, true));
          const all = [...shared, ...alone];

          /** That everybody has been told what is expected by now, and nothing else. */
          async function compare(from: number): Promise<void> {
            for (const each of all)
              await until('all to be told', () => {
                if (each.subscription.failure) throw each.subscription.failure;
                return each.told.length >= expected.length;
              });
            const plainly = await Promise.all(
              viewers.map((viewer) =>
                Promise.all(expected.slice(from).map((one) => plain(query, given, viewer, one))),
              ),
            );
            for (const [index, each] of all.entries()) {
              const told = payloads(each).slice(from);
              // Each has an id of its own for the present state.
              if (isSnapshot(from))
                told[0] = String(told[0]).replaceAll(/evt_[\w-]{22}/g, (id) =>
                  kept.has(id) ? id : 'evt_new',
                );
              expect(told).toEqual(plainly[index % viewers.length]);
              expect(each.told.map(({ cursor }) => cursor)).toEqual(expected.map(({ cursor }) => cursor));
            }
          }
          const isSnapshot = (from: number) => from === 0 && expected[0]?.event.id === 'evt_new';

          try {
            await compare(0);
            const passed = expected.length;
            await db.transaction(async (tx) => {
              for (const { type, isForeign, facts } of appended) {
                const about: Facts = type.startsWith('Session')
                  ? { sessionId: world.session.id }
                  : { jobId: isForeign ? world.foreignJob.id : world.job.id };
                feeds.log.append(tx, { type, facts: { ...about, ...facts } as Facts, topics: [topic] });
              }
            });
            for (const { event, seq } of await feeds.log.readPage(topic, before.head, 1_000))
              if (isShown(event.type)) place(event, seq);
            await compare(passed);
            if (percent !== null && topic.startsWith('job:')) {
              const event = {
                id: `evt_${'p'.repeat(22)}`,
                type: 'JobProgressed',
                version: 1,
                facts: { jobId: id, percent, message: 'ä' },
                occurredAt: new Date(clock.now()),
              };
              const { head: seq } = await head();
              const told = expected.length;
              const { feed, leave } = await feeds.hub.attach(topic);
              feed.offer({ kind: 'EPHEMERAL', topic, seq, event });
              leave();
              place(event, seq);
              await compare(told);
            }
            // Only what is of somebody else's job depends on who watches.
            if (expected.some(({ event }) => event.facts.jobId === world.foreignJob.id)) return;
            expect(counted.notShareable).toBe(0);
            for (const [index, frame] of (shared[0]?.told ?? []).entries())
              if (index >= passed) for (const each of shared) expect(each.told[index]).toBe(frame);
          } finally {
            end();
          }
        },
      ),
      { numRuns: 40, timeout: 20_000 },
    );
  });

  it.each(['viewer', 'connection'] as const)(
    'finds a field out that depends on the %s and that nobody has declared, and leaks nothing',
    async (name) => {
      const leaky = buildSchema();
      const rejected = leaky.getType('JobRejected');
      if (!isObjectType(rejected)) throw new Error('The schema is another.');
      const { reason } = rejected.getFields();
      if (!reason) throw new Error('The schema is another.');
      // Nothing but the context tells it who watches.
      reason.resolve = (_delivery, _args, context: Context) =>
        name === 'viewer' ? context.viewer.user?.id : context.connection.viewer.user?.id;
      const counted = system(leaky);
      const { watch, end, services } = counted;
      const query = documentOf('jobUpdated', 'id ... on JobRejected { why: reason }');
      const viewers = [0, 1, 2].map((index) => withRoles(`usr_leak_${index}`, 'SERVICE'));
      const all: Pushed<Frame>[] = [];
      for (const viewer of viewers) all.push(await watch(query, { id: users.job.id }, viewer));
      for (const each of all) await until('the snapshot', () => each.told.length === 1);
      const topic = jobTopic(users.job.id);
      const facts = { jobId: users.job.id, reason: 'No.' };
      await services.db.transaction(async (tx) =>
        services.feeds.log.append(tx, { type: 'JobRejected', facts, topics: [topic] }),
      );
      for (const [index, each] of all.entries()) {
        await until('the event', () => each.told.length === 2);
        const text = String(each.told[1]?.payload);
        expect(JSON.parse(text).data.jobUpdated.why).toBe(`usr_leak_${index}`);
        expect(text.match(/usr_leak_/g)).toHaveLength(1);
      }
      expect(counted.notShareable).toBe(1);
      end();
    },
  );
});

describe('what is beside an event', () => {
  const query = documentOf('jobUpdated', 'id job { id ... on AgentJob { prompt state } }');

  it.each([
    ['an owner who is SERVICE', 'OWNER AND SERVICE'],
    ['an owner', 'OWNER'],
  ] as const)('is decided by the view: %s sees what the others of it do', async (_, kind) => {
    const { watch, end } = system();
    const all = [
      await watch(query, { id: users.job.id, after: 'START' }, viewerOf(kind, 0)),
      await watch(query, { id: users.job.id, after: 'START' }, viewerOf('OWNER', 0)),
      await watch(query, { id: users.job.id, after: 'START' }, viewerOf('SERVICE', 0)),
      await watch(query, { id: users.job.id, after: 'START' }, viewerOf('ADMIN', 0)),
      await watch(query, { id: users.job.id, after: 'START' }, viewerOf(kind, 0), true),
    ];
    const topic = jobTopic(users.job.id);
    const rows = await app().services.feeds.log.readPage(topic, 0, 1_000);
    for (const each of all) await until('all of it', () => each.told.length >= rows.length);
    const own = rows.findIndex(({ event }) => event.facts.jobId === users.job.id);
    for (const each of all) {
      expect(payloads(each)[own]).toBe(payloads(all[0] as Pushed<Frame>)[own]);
      expect(JSON.parse(Buffer.from(String(payloads(each)[own]), 'latin1').toString())).toMatchObject({
        data: { jobUpdated: { job: { id: users.job.id, prompt: 'Mine, ä€🙂.' } } },
      });
    }
    end();
  });

  it('is null where it is not theirs, and shown to who may see it otherwise', async () => {
    const { watch, end, services } = system();
    const activity = documentOf('activity', 'id ... on JobEvent { job { id } }');
    const owner = await watch(activity, {}, viewerOf('OWNER', 0));
    const both = await watch(activity, {}, viewerOf('OWNER AND SERVICE', 0));
    const foreign = users.foreignJob.id;
    await services.db.transaction(async (tx) =>
      services.feeds.log.append(
        tx,
        ...[users.job.id, foreign].map((jobId) => ({
          type: 'JobWorkStarted',
          facts: { jobId, state: 'EXECUTING' },
          topics: [`user:${users.ownerId}`],
        })),
      ),
    );
    const shown = (each: Pushed<Frame>) =>
      payloads(each).map((payload) => JSON.parse(payload).data.activity.job?.id);
    for (const each of [owner, both]) await until('both events', () => each.told.length === 2);
    expect(shown(owner)).toEqual([users.job.id, undefined]);
    expect(shown(both)).toEqual([users.job.id, foreign]);
    end();
  });
});
