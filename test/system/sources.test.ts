import { readFileSync } from 'node:fs';
import {
  type FieldNode,
  getNamedType,
  isCompositeType,
  isObjectType,
  Kind,
  parse,
  print,
  TypeInfo,
  validate,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildSchema } from '../../src/graphql/schema.ts';
import { useTestApp } from '../support/app.ts';
import {
  applied,
  blockOn,
  chainhookEnv,
  deliver,
  genesis,
  type Print,
  reorganised,
  transaction,
} from '../support/chainhook.ts';
import { change } from '../support/change.ts';
import type { Json } from '../support/clients.ts';
import { movableClock } from '../support/clock.ts';
import { escrow, newJob } from '../support/escrow.ts';
import { doCommand } from '../support/streams.ts';
import { until } from '../support/until.ts';
import { createUser, fund } from '../support/wallets.ts';

const clock = movableClock();
const app = useTestApp(
  { ...chainhookEnv, AGENT: 'external', TREASURY_PROPOSAL_EXPIRY_SECONDS: '7200' },
  { clock },
);
const schema = buildSchema();

/** A row of docs/protocol.md: an event of ours, and what it says. */
interface Row {
  readonly type: string;
  readonly fields: readonly string[];
}

/** What is sent by the transports themselves, or not at all. */
const ofTransports = ['connection_ack', 'pong', 'occurredAt', '–'];

/** Words of a cell that are no fields: values of enums, root fields, and messages of others. */
const noField = /^[A-Z_]+$|^\w+\(|^expired$/;

function rowsOf(section: string): Row[] {
  const page = readFileSync('docs/protocol.md', 'utf8');
  const [, text = ''] = new RegExp(`^## ${section}\\n(.*?)^## `, 'ms').exec(page) ?? [];
  const [, table = ''] =
    /^\| (?:Its message|Message of the system[^|]*) \|.*\n\| ---.*\n((?:\|.*\n)+)/m.exec(text) ?? [];
  return table
    .trimEnd()
    .split('\n')
    .map((line) => line.slice(1, -1).split('|'))
    .flatMap(([, ours = '', , said = '']) => {
      if (ofTransports.includes(ours.replaceAll('`', '').trim())) return [];
      const words = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word);
      const types = words(ours);
      const told = words(said).filter((word) => !noField.test(word));
      // Where a row names several types, each has those of the fields that are its own.
      return types.map((type) => ({
        type,
        fields: types.length === 1 ? told : told.filter((field) => field in fieldsOf(type)),
      }));
    });
}

const fieldsOf = (type: string) =>
  (schema.getType(type) as unknown as { getFields(): Record<string, unknown> }).getFields();

let person: Awaited<ReturnType<typeof createUser>>;
/** What happened in each feed, by its subscription. */
const feeds: Record<string, { readonly id?: string }> = {};

const [sender, recipient] = ['7', '8'].map((digit) => `SP${digit.repeat(28)}`) as [string, string];

/** Has the chain make something, and then make it undone. */
async function undo(hook: string, print: Print): Promise<void> {
  const block = blockOn(genesis(), transaction(print));
  await deliver(app(), hook, applied(block));
  await deliver(app(), hook, reorganised([block], [blockOn(genesis())]));
}

async function idOf(table: string): Promise<string> {
  const [row] = await until(`one of ${table}`, async () => {
    const rows = await app().services.db.query<{ id: string }>(
      `SELECT id FROM ${table} WHERE origin = 'STACKS'`,
    );
    return rows.length > 0 ? rows : undefined;
  });
  return row?.id as string;
}

beforeAll(async () => {
  const alice = await createUser(app(), 'alice', 100_000);
  const dave = await createUser(app(), 'dave', 10_000);
  const carol = await createUser(app(), 'carol', 10_000);
  person = await createUser(app(), 'whoever looks', 0, ['ADMIN']);

  const deadline = () => new Date(clock.now() + 3_600_000).toISOString();
  const post = () => escrow(app(), 'postJob', newJob({ deadline: deadline() }), alice);
  const done = await post();
  await escrow(app(), 'acceptJob', { jobId: done.id }, dave);
  await escrow(app(), 'withdrawFromJob', { jobId: done.id }, dave);
  await escrow(app(), 'acceptJob', { jobId: done.id }, carol);
  await escrow(
    app(),
    'updateChecklist',
    { jobId: done.id, itemId: done.checklist[0].id, completed: true },
    carol,
  );
  await escrow(app(), 'completeJob', { jobId: done.id }, alice);
  await escrow(app(), 'cancelJob', { jobId: (await post()).id }, alice);
  await post();

  const startStream = async () => {
    const endsAt = new Date(clock.now() + 40 * 3_600_000).toISOString();
    return doCommand(app(), 'createStream', { recipientId: dave.id, amountSats: 10_000, endsAt }, alice);
  };
  const { id: streamId } = await startStream();
  clock.advance(1_800_000);
  await doCommand(app(), 'withdrawFromStream', { streamId, amountSats: 1 }, dave);
  await doCommand(app(), 'settleStream', { streamId }, dave);
  await doCommand(app(), 'pauseStream', { streamId }, alice);
  await doCommand(app(), 'resumeStream', { streamId }, alice);
  const offer = async () =>
    (await change(app(), 'createListing', { streamId, priceSats: 50 }, 'listing { id }', dave)).listing
      .id as string;
  const listingId = await offer();
  await change(app(), 'updateListing', { listingId, priceSats: 60 }, 'listing { id }', dave);
  await change(app(), 'cancelListing', { listingId }, 'listing { id }', dave);
  await change(
    app(),
    'buyListing',
    { listingId: await offer(), expectedPriceSats: 50, minimumRemainingSats: 1 },
    'listing { id }',
    carol,
  );
  await doCommand(app(), 'cancelStream', { streamId }, alice);
  const { id: running } = await startStream();

  await change(
    app(),
    'setTreasuryMembers',
    { memberIds: [alice.id], threshold: 1 },
    'treasury { origin }',
    person,
  );
  const propose = async () =>
    (
      await change(
        app(),
        'createProposal',
        { recipientId: dave.id, amountSats: 5, description: 'A fence' },
        'proposal { id }',
        alice,
      )
    ).proposal.id as string;
  const proposalId = await propose();
  await change(app(), 'approveProposal', { proposalId }, 'proposal { id }', alice);
  await fund(app(), alice.id, 5);
  await app().services.db.transaction((tx) =>
    app().services.ledger.transfer(tx, {
      key: 'a fee',
      from: `wallet:${alice.id}`,
      to: 'treasury',
      amount: 5n,
      reason: 'FEE',
    }),
  );
  await change(app(), 'executeProposal', { proposalId }, 'proposal { id }', alice);
  await propose();
  // The deadline of a job, and the time of a proposal.
  clock.advance(8_000_000);

  await undo('streams', {
    event: 'stream-created',
    'stream-id': 1n,
    sender,
    recipient,
    amount: 900n,
    'start-block': 1n,
    'end-block': 9n,
  });
  await undo('marketplace', { event: 'market-nft-listed', 'stream-id': 1n, seller: sender, price: 5n });
  await undo('treasury', {
    event: 'treasury-withdrawal-proposed',
    'proposal-id': 1n,
    proposer: sender,
    recipient,
    amount: 5n,
  });
  Object.assign(feeds, {
    done: { id: done.id },
    stream: { id: streamId },
    running: { id: running },
    mirrored: { id: await idOf('streams') },
  });
});

/** Where an event of each type is told. */
function feedOf(type: string): { readonly field: string; readonly of?: string; readonly isNow?: boolean } {
  if (type === 'JobSnapshot') return { field: 'jobUpdated', of: 'done', isNow: true };
  if (type === 'StreamSnapshot' || type === 'StreamUpdated')
    return { field: 'streamUpdated', of: 'running', isNow: true };
  if (type === 'TreasurySnapshot') return { field: 'treasuryUpdated', isNow: true };
  if (type === 'JobChecklistUpdated') return { field: 'jobUpdated', of: 'done' };
  if (type === 'JobPosted') return { field: 'jobPosted' };
  if (type.startsWith('Job')) return { field: 'jobBoardUpdated' };
  if (type === 'StreamReorganised') return { field: 'streamUpdated', of: 'mirrored' };
  if (type === 'StreamSettled') return { field: 'settleFinished', of: 'stream' };
  if (type.startsWith('Stream')) return { field: 'streamUpdated', of: 'stream' };
  return { field: type.startsWith('Listing') ? 'marketplaceUpdated' : 'treasuryUpdated' };
}

/** A subscription to what a row says; objects whose fields it does not name are shown by their type. */
function documentFor({ type, fields }: Row): string {
  const { field, of, isNow } = feedOf(type);
  const id = field === 'settleFinished' ? 'streamId' : 'id';
  const given = [...(of ? [`${id}: "${feeds[of]?.id}"`] : []), ...(isNow ? [] : ['after: "START"'])];
  const passed = given.length > 0 ? `(${given.join(', ')})` : '';
  const document = parse(
    `subscription { ${field}${passed} { __typename ... on ${type} { __typename ${fields.join(' ')} } } }`,
  );
  const types = new TypeInfo(schema);
  return print(
    visit(
      document,
      visitWithTypeInfo(types, {
        Field: {
          enter(node): FieldNode | undefined {
            const of = types.getType();
            if (node.selectionSet || !of || !isCompositeType(getNamedType(of))) return undefined;
            const shown: FieldNode = { kind: Kind.FIELD, name: { kind: Kind.NAME, value: '__typename' } };
            return { ...node, selectionSet: { kind: Kind.SELECTION_SET, selections: [shown] } };
          },
        },
      }),
    ),
  );
}

const ofAgentJobs =
  /^Job(PaymentConfirmed|Evaluated|WorkStarted|Rejected|Failed|Expired|PaymentReturned|Progressed)$/;

describe.each([
  ['Escrowed jobs', /^Job/],
  ['Streams', /^Stream/],
  ['Marketplace', /^Listing/],
  ['Treasury', /^(Treasury|Proposal)/],
] as const)('%s', (section, prefix) => {
  const rows = rowsOf(section);

  it.each(rows)('tells $type with what the row says', async (row) => {
    expect(row.fields.length > 0 || row.type.startsWith('Proposal') || row.type.startsWith('Treasury')).toBe(
      true,
    );
    const document = documentFor(row);
    expect(validate(schema, parse(document))).toEqual([]);
    const watched = app().watch(document, {}, person);
    const event: Json = await watched.event(row.type);
    for (const field of row.fields) {
      const [name = ''] = field.split(/[ {]/, 1);
      expect(event).toHaveProperty(name);
      expect(event[name]).not.toBeUndefined();
    }
    expect(watched.errors).toBeUndefined();
  });

  it('has a row for every event', () => {
    const events = Object.values(schema.getTypeMap())
      .filter((type) => isObjectType(type) && type.getInterfaces().some(({ name }) => name === 'Event'))
      .map(({ name }) => name);
    const wanted = events.filter((name) => prefix.test(name) && !ofAgentJobs.test(name));
    expect(rows.map(({ type }) => type).sort()).toEqual(wanted.sort());
  });
});
