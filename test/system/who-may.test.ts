import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildSchema } from '../../src/graphql/schema.ts';
import { useTestApp } from '../support/app.ts';
import { change } from '../support/change.ts';
import type { As, Json } from '../support/clients.ts';
import { escrow } from '../support/escrow.ts';
import { createJob, key, openSession } from '../support/operations.ts';
import { foreignInvoice, payOut } from '../support/payouts.ts';
import { openStream } from '../support/raw-sse.ts';
import { rootFields, smallestOperation } from '../support/schema-rules.ts';
import { doCommand } from '../support/streams.ts';
import { until } from '../support/until.ts';
import { createUser } from '../support/wallets.ts';

const app = useTestApp({ AGENT: 'external', CHAIN: 'demo' });

/** The rows of the table of docs/security.md: what is done, and who may. */
const rows = (() => {
  const page = readFileSync('docs/security.md', 'utf8');
  const [, table = ''] = /^\| Root field \|.*\n\| ---.*\n((?:\|.*\n)+)/m.exec(page) ?? [];
  return table
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [what = '', ...cells] = line.slice(2, -2).split(' | ');
      return { what, cells };
    });
})();

const columns = ['nobody', 'the owner', 'another user', 'SERVICE', 'ADMIN'] as const;
const fields = new Map(rootFields(buildSchema()).map((root) => [root.field.name, root]));

/** Who owns what: alice has jobs, sessions, a payout, a vote and what she streams to dave, who sells some of it. */
interface World {
  readonly alice: { readonly id: string; readonly token: string };
  readonly dave: { readonly id: string; readonly token: string };
  readonly anonymous: As;
  readonly ids: Readonly<Record<string, string>>;
}
let world: World;

const tomorrow = () => new Date(Date.now() + 86_400_000).toISOString();

beforeAll(async () => {
  await until('the chain', async () => (await app().send('{ chainTip { hash } mempool { txCount } }')).data);
  const alice = await createUser(app(), 'alice', 100_000);
  const dave = await createUser(app(), 'dave', 1_000);
  const admin = await createUser(app(), 'admin', 0, ['ADMIN']);
  const { job } = await createJob(app(), 'Something private.', alice);
  const { session } = await openSession(app(), 500, alice);
  await app().pay(session.depositInvoice.paymentHash);
  const anonymous = await openSession(app(), 500);
  const { id: payout } = await payOut(app(), foreignInvoice(Date.now(), 100).bolt11, alice);
  const post = async () =>
    escrow(
      app(),
      'postJob',
      { title: 'Paint', paySats: 100, deadline: tomorrow(), checklist: ['A wall'] },
      alice,
    );
  const [open, taken] = [await post(), await post()];
  await escrow(app(), 'acceptJob', { jobId: taken.id }, dave);
  const stream = async () =>
    (
      await doCommand(
        app(),
        'createStream',
        { recipientId: dave.id, amountSats: 1_000, endsAt: tomorrow() },
        alice,
      )
    ).id as string;
  const [running, offered] = [await stream(), await stream()];
  const { listing } = await change(
    app(),
    'createListing',
    { streamId: offered, priceSats: 10 },
    'listing { id }',
    dave,
  );
  await change(
    app(),
    'setTreasuryMembers',
    { memberIds: [alice.id], threshold: 1 },
    'treasury { threshold }',
    admin,
  );
  const { proposal } = await change(
    app(),
    'createProposal',
    { recipientId: dave.id, amountSats: 1, description: 'x' },
    'proposal { id }',
    alice,
  );
  world = {
    alice,
    dave,
    anonymous: anonymous.as,
    ids: {
      job: job.id,
      session: session.id,
      invoice: session.depositInvoice.paymentHash,
      anonymousSession: anonymous.session.id,
      payout,
      open: open.id,
      taken: taken.id,
      item: taken.checklist[0].id,
      running,
      listing: listing.id,
      proposal: proposal.id,
    },
  };
});

/** What is asked of a root field, and whose it is: alice's where nothing is said. */
interface Asked {
  readonly owner?: () => As;
  readonly arguments?: () => Json;
}

const id = (name: string): Asked => ({ arguments: () => ({ id: world.ids[name] }) });
const input = (values: () => Json, owner?: () => As): Asked => ({
  ...(owner && { owner }),
  arguments: () => ({ input: values() }),
});
const dave = () => world.dave;
const ofJob = input(() => ({ jobId: world.ids.job }));
const ofOpen = input(() => ({ jobId: world.ids.open }));
const ofTaken = input(() => ({ jobId: world.ids.taken }));
const ofSession = input(() => ({ sessionId: world.ids.session }));
const ofRunning = input(() => ({ streamId: world.ids.running }));
const ofListing = input(() => ({ listingId: world.ids.listing }), dave);
const ofProposal = input(() => ({ proposalId: world.ids.proposal }));

const asked: Readonly<Record<string, Asked>> = {
  job: id('job'),
  session: id('session'),
  invoice: { arguments: () => ({ paymentHash: world.ids.invoice }) },
  stream: id('running'),
  jobUpdated: id('job'),
  sessionUpdated: id('session'),
  sessionDebited: id('session'),
  streamUpdated: id('running'),
  settleFinished: { arguments: () => ({ streamId: world.ids.running }) },
  acceptJob: ofOpen,
  cancelJob: ofOpen,
  completeJob: ofTaken,
  withdrawFromJob: input(() => ({ jobId: world.ids.taken }), dave),
  updateChecklist: input(() => ({ jobId: world.ids.taken, itemId: world.ids.item }), dave),
  claimRefund: input(
    () => ({ id: world.ids.anonymousSession, bolt11: foreignInvoice(Date.now(), 5).bolt11 }),
    () => world.anonymous,
  ),
  createStream: input(() => ({ recipientId: world.dave.id })),
  withdrawFromStream: input(() => ({ streamId: world.ids.running }), dave),
  settleStream: ofRunning,
  pauseStream: ofRunning,
  resumeStream: ofRunning,
  cancelStream: ofRunning,
  createListing: input(() => ({ streamId: world.ids.running }), dave),
  updateListing: ofListing,
  cancelListing: ofListing,
  buyListing: ofListing,
  createProposal: input(() => ({ recipientId: world.dave.id })),
  approveProposal: ofProposal,
  executeProposal: ofProposal,
  topUpSession: ofSession,
  closeSession: ofSession,
  debitSession: ofSession,
  reportProgress: ofJob,
  submitEvaluation: ofJob,
  submitResult: ofJob,
  failJob: ofJob,
  transaction: { arguments: () => ({ txid: 'a'.repeat(64) }) },
  block: { arguments: () => ({ height: 1 }) },
  stubPay: { arguments: () => ({ paymentHash: world.ids.invoice }) },
  'node of these': id('session'),
  'node of a user': { arguments: () => ({ id: world.alice.id }) },
  'node of an escrowed job': id('taken'),
  'job of an escrowed job': id('taken'),
  'node of a payout': id('payout'),
  'node of a stream': id('running'),
  'node of a listing': id('listing'),
  'node of a proposal': id('proposal'),
};

/** What a row names: root fields, some of them of one kind of object. */
function named(what: string): { readonly name: string; readonly asked: Asked }[] {
  const kind = / (of an escrowed job|of these|of a [a-z]+)/.exec(what.replace(/\(.*?\)/g, ''))?.[1] ?? '';
  return [...what.matchAll(/`(\w+)`/g)].map(([, name = '']) => ({
    name,
    asked: asked[`${name} ${kind}`] ?? asked[name] ?? {},
  }));
}

/** The code of the refusal; undefined when there is none. */
async function tryIt(name: string, { arguments: given }: Asked, as: As): Promise<string | undefined> {
  const root = fields.get(name);
  if (!root) throw new Error(`There is no root field ${name}.`);
  const values = given?.() ?? {};
  const { query, variables } = smallestOperation(root, Object.keys(values));
  const merged = {
    ...variables,
    ...values,
    ...(variables.input && {
      input: {
        ...variables.input,
        ...('idempotencyKey' in variables.input && { idempotencyKey: key() }),
        ...values.input,
      },
    }),
  };
  if (root.kind !== 'subscription') return codeIn(await app().send(query, merged, as));
  const stream = await openStream(app().url, query, merged, as);
  if (stream.status === 200) {
    stream.close();
    return undefined;
  }
  return codeIn(JSON.parse(await stream.end()));
}

const codeIn = ({ errors }: { errors?: readonly Json[] | undefined }) =>
  errors?.[0]?.extensions.code as string | undefined;

let made = 0;
const credentials: Record<(typeof columns)[number], (owner: Asked['owner']) => As | Promise<As>> = {
  nobody: () => ({}),
  'the owner': (owner = () => world.alice) => owner(),
  'another user': async () => ({ token: await app().token('bob') }),
  SERVICE: async () => ({ token: await app().token(`service ${made++}`, ['SERVICE']) }),
  ADMIN: async () => ({ token: await app().token('another admin', ['ADMIN']) }),
};

describe.each(rows)('$what', ({ what, cells }) => {
  // Whom it is refused to comes first: nothing has been done then.
  const all = named(what).flatMap((each) =>
    columns.map((column, index) => ({ ...each, column, cell: cells[index] as string })),
  );
  const refused = all.filter(({ cell }) => cell === '–');
  const allowed = all.filter(({ cell }) => cell !== '–');

  it('is refused to everyone else', async () => {
    for (const { name, asked: given, column } of refused) {
      const as = await credentials[column](given.owner);
      const code = column === 'nobody' ? 'UNAUTHENTICATED' : 'FORBIDDEN';
      expect({ name, column, code: await tryIt(name, given, as) }).toEqual({ name, column, code });
    }
  });

  it('is open to whom the table says', async () => {
    for (const { name, asked: given, column, cell } of allowed) {
      const as =
        name === 'signOut' && column === 'the owner'
          ? { token: await app().token('somebody') }
          : await credentials[column](given.owner);
      const code = await tryIt(name, given, as);
      const [, expected] = /^`(\w+)`$/.exec(cell) ?? [];
      if (expected) expect({ name, column, code }).toEqual({ name, column, code: expected });
      else expect([name, column, 'UNAUTHENTICATED', 'FORBIDDEN']).not.toContain(code);
    }
  });
});

it('names every root field', () => {
  const inTable = new Set(rows.flatMap(({ what }) => named(what).map(({ name }) => name)));
  expect([...fields.keys()].filter((name) => !inTable.has(name))).toEqual([]);
});
