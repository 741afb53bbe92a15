import { expect, it } from 'vitest';
import { useTestApp } from '../support/app.ts';
import { attempt, change } from '../support/change.ts';
import { standingClock } from '../support/clock.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { until } from '../support/until.ts';
import { createUser, fund, walletOf } from '../support/wallets.ts';

const clock = standingClock();
const app = useTestApp({}, { clock });

const proposalFields = `id state origin amountSats description threshold timelockUntil expiresAt
  proposer { id } recipient { id } approvals { id }`;

const watchTreasury = `subscription ($after: Cursor) { treasuryUpdated(after: $after) { __typename id cursor
  treasury { origin balanceSats threshold members { id } }
  ... on TreasurySnapshot { reason } ... on ProposalCreated { proposal { id } }
  ... on ProposalApproved { proposal { id } approver { id } approvalsCount threshold }
  ... on ProposalExecuted { proposal { id state } } ... on ProposalExpired { proposal { id state } }
  ... on TreasuryBalanceUpdated { newBalanceSats changeSats }
  ... on TreasuryMembersChanged { memberCount threshold } } }`;

/** Gives the treasury sats, as fees do. */
async function fill(sats: number): Promise<void> {
  const { db, ledger } = app().services;
  const payer = await createUser(app(), `payer ${crypto.randomUUID()}`);
  await fund(app(), payer.id, sats);
  await db.transaction((tx) =>
    ledger.transfer(tx, {
      key: `fee:${payer.id}`,
      from: `wallet:${payer.id}`,
      to: 'treasury',
      amount: BigInt(sats),
      reason: 'FEE',
    }),
  );
}

async function startTreasury(threshold: number, timelockSeconds = 0) {
  const admin = await createUser(app(), 'admin', 0, ['ADMIN']);
  const members = await Promise.all(
    Array.from({ length: 3 }, () => createUser(app(), `member ${crypto.randomUUID()}`)),
  );
  const recipient = await createUser(app(), `recipient ${crypto.randomUUID()}`);
  await change(
    app(),
    'setTreasuryMembers',
    { memberIds: members.map(({ id }) => id), threshold, timelockSeconds },
    'treasury { threshold }',
    admin,
  );
  const propose = async (amountSats: number) =>
    (
      await change(
        app(),
        'createProposal',
        { recipientId: recipient.id, amountSats, description: 'Paint the fence.' },
        `proposal { ${proposalFields} }`,
        members[0]!,
      )
    ).proposal;
  const vote = (
    name: 'approveProposal' | 'executeProposal',
    proposalId: string,
    as: { token: string },
    more = {},
  ) => attempt(app(), name, { proposalId, ...more }, `proposal { ${proposalFields} }`, as);
  return { admin, members, recipient, propose, vote };
}

it('spends what its members have approved, once, when the timelock is over', async () => {
  const { members, recipient, propose, vote } = await startTreasury(2, 60);
  const [one, two, three] = members as [(typeof members)[0], (typeof members)[0], (typeof members)[0]];
  const watched = app().watch(watchTreasury, {}, recipient);
  expect(await watched.event('TreasurySnapshot')).toMatchObject({
    reason: 'SUBSCRIBED',
    treasury: { origin: 'SATWIRE', threshold: 2, members: members.map(({ id }) => ({ id })) },
  });
  const { id, ...made } = await propose(700);
  expect(made).toMatchObject({ state: 'OPEN', threshold: 2, approvals: [], timelockUntil: null });
  const again = { idempotencyKey: crypto.randomUUID() };
  for (let n = 0; n < 2; n += 1) expect((await vote('approveProposal', id, one, again)).answer).toBeDefined();
  expect(await vote('approveProposal', id, one)).toEqual({ code: 'CONFLICT', reason: 'INVALID_STATE' });
  expect(await vote('executeProposal', id, one)).toEqual({ code: 'CONFLICT', reason: 'INVALID_STATE' });
  expect((await vote('approveProposal', id, two)).answer.proposal).toMatchObject({
    state: 'APPROVED',
    approvals: expect.arrayContaining([{ id: one.id }, { id: two.id }]),
    timelockUntil: new Date(clock.now() + 60_000).toISOString(),
  });
  expect(await vote('approveProposal', id, three)).toEqual({ code: 'CONFLICT', reason: 'INVALID_STATE' });
  expect(await vote('executeProposal', id, one)).toEqual({ code: 'CONFLICT', reason: 'INVALID_STATE' });
  clock.advance(60_000);
  expect(await vote('executeProposal', id, one)).toEqual({ code: 'INSUFFICIENT_FUNDS' });
  await fill(1_000);
  const outcomes = await Promise.all(Array.from({ length: 30 }, () => vote('executeProposal', id, two)));
  expect(outcomes.filter(({ answer }) => answer)).toHaveLength(1);
  expect(await walletOf(app(), recipient.id)).toBe(700);
  expect(await watched.event('ProposalExecuted')).toMatchObject({ proposal: { id, state: 'EXECUTED' } });
  const told = watched.events.map(({ __typename }) => __typename);
  expect(told.filter((name) => name === 'ProposalApproved')).toHaveLength(2);
  expect(watched.events.filter(({ __typename }) => __typename === 'TreasuryBalanceUpdated')).toMatchObject([
    { newBalanceSats: 1_000, changeSats: 1_000 },
    { newBalanceSats: 300, changeSats: -700 },
  ]);
  await expectMoneyAddsUp(app().services.db);
});

it('keeps the threshold that a proposal was made under, and expires what nobody executes', async () => {
  const { admin, members, propose, vote } = await startTreasury(1);
  const watched = app().watch(watchTreasury, {}, admin);
  await watched.event('TreasurySnapshot');
  const { id } = await propose(1);
  await change(
    app(),
    'setTreasuryMembers',
    { memberIds: members.map((member) => member.id), threshold: 3 },
    'treasury { threshold }',
    admin,
  );
  expect(await watched.event('TreasuryMembersChanged')).toMatchObject({ memberCount: 3, threshold: 3 });
  expect((await vote('approveProposal', id, members[2]!)).answer.proposal).toMatchObject({
    state: 'APPROVED',
    threshold: 1,
  });
  clock.advance(1);
  const { id: open } = await propose(1);
  await fill(1);
  clock.advance(31 * 86_400_000);
  // From that moment on, whether its timer has noticed or not.
  for (const [name, proposalId] of [
    ['executeProposal', id],
    ['approveProposal', open],
  ] as const)
    expect(await vote(name, proposalId, members[0]!)).toEqual({ code: 'CONFLICT', reason: 'INVALID_STATE' });
  const later = { token: await app().token('admin', ['ADMIN']) };
  await expect
    .poll(
      async () =>
        (await app().ask('{ proposals(first: 2) { edges { node { id state } } } }', {}, later)).proposals
          .edges,
    )
    .toEqual([{ node: { id: open, state: 'EXPIRED' } }, { node: { id, state: 'EXPIRED' } }]);
  const told = app().watch(watchTreasury, { after: 'START' }, later);
  await until('both to have been told', () =>
    [id, open].every((each) =>
      told.events.some((event) => event.__typename === 'ProposalExpired' && event.proposal.id === each),
    ),
  );
});

it('is shown to every user, and decided by members alone', async () => {
  const { admin, members, recipient, propose, vote } = await startTreasury(1);
  const { id } = await propose(5);
  const shown = `query ($id: ID!) { treasury { balanceSats members { id } cursor } onChain: treasury(origin: STACKS) { origin balanceSats threshold members { id } }
    proposals(origin: SATWIRE, first: 1) { edges { node { id } } } node(id: $id) { __typename id } }`;
  const answer = await app().ask(shown, { id }, recipient);
  expect(answer).toMatchObject({
    onChain: { origin: 'STACKS', balanceSats: 0, threshold: 0, members: [] },
    proposals: { edges: [{ node: { id } }] },
    node: { __typename: 'Proposal', id },
  });
  for (const as of [recipient, admin])
    expect(await vote('approveProposal', id, as)).toEqual({ code: 'FORBIDDEN' });
  for (const guess of ['prp_guess', `prp_${'x'.repeat(22)}`])
    expect(await vote('approveProposal', guess, members[0]!)).toEqual({ code: 'FORBIDDEN' });
  const create = (input: Record<string, unknown>, as = members[0]!) =>
    attempt(
      app(),
      'createProposal',
      { recipientId: recipient.id, amountSats: 1, description: 'x', ...input },
      'proposal { id }',
      as,
    );
  expect(await create({}, recipient)).toEqual({ code: 'FORBIDDEN' });
  expect(await create({ amountSats: 0 })).toMatchObject({ argument: 'amountSats' });
  expect(await create({ description: '' })).toMatchObject({ argument: 'description' });
  for (const recipientId of ['nobody', `usr_${'x'.repeat(22)}`])
    expect(await create({ recipientId })).toEqual({ code: 'FORBIDDEN' });
  const idempotencyKey = crypto.randomUUID();
  expect(await create({ idempotencyKey })).toEqual(await create({ idempotencyKey }));
  const set = (input: Record<string, unknown>, as = admin) =>
    attempt(
      app(),
      'setTreasuryMembers',
      { memberIds: [recipient.id], threshold: 1, ...input },
      'treasury { threshold }',
      as,
    );
  expect(await set({}, members[0]!)).toEqual({ code: 'FORBIDDEN' });
  expect(await set({ memberIds: [] })).toMatchObject({ argument: 'memberIds' });
  expect(await set({ memberIds: [recipient.id, recipient.id] })).toMatchObject({ argument: 'memberIds' });
  for (const unknown of ['nobody', `usr_${'x'.repeat(22)}`])
    expect(await set({ memberIds: [unknown] })).toMatchObject({ argument: 'memberIds' });
  expect(await set({ threshold: 2 })).toMatchObject({ argument: 'threshold' });
  expect(await set({ timelockSeconds: -1 })).toMatchObject({ argument: 'timelockSeconds' });
  const key = { idempotencyKey: crypto.randomUUID() };
  expect((await set(key)).answer).toEqual((await set(key)).answer);
  const { errors } = await app().send('query ($id: ID!) { node(id: $id) { id } }', { id });
  expect(errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
});
