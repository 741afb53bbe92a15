import { expect, it } from 'vitest';
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
import { attempt } from '../support/change.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { until } from '../support/until.ts';
import { createUser } from '../support/wallets.ts';

const app = useTestApp(chainhookEnv);

const [proposer, approver, recipient] = ['4', '5', '6'].map((digit) => `SP${digit.repeat(28)}`) as [
  string,
  string,
  string,
];
const proposed = (number: bigint, amount: bigint): Print => ({
  event: 'treasury-withdrawal-proposed',
  'proposal-id': number,
  proposer,
  recipient,
  amount,
  'timelock-expires': 500n,
});
const approved = (number: bigint, by: string): Print => ({
  event: 'treasury-withdrawal-approved',
  'proposal-id': number,
  approver: by,
  'approval-count': 1n,
});
const executed = (number: bigint, amount: bigint): Print => ({
  event: 'treasury-withdrawal-executed',
  'proposal-id': number,
  recipient,
  amount,
  approvals: 2n,
});
const collected = (amount: bigint, balance: bigint): Print => ({
  event: 'treasury-fee-collected',
  amount,
  caller: proposer,
  'new-balance': balance,
});

const proposalFields = `id state origin amountSats description threshold timelockUntil expiresAt
  proposer { address } recipient { address } approvals { address }`;
const watchTreasury = `subscription { treasuryUpdated(after: "START") { __typename id treasury { origin balanceSats }
  ... on ProposalCreated { proposal { ${proposalFields} } }
  ... on ProposalApproved { proposal { id } approver { address } approvalsCount threshold }
  ... on ProposalExecuted { proposal { id state } }
  ... on ProposalReorganised { proposal { id state } rolledBack }
  ... on TreasuryBalanceUpdated { newBalanceSats changeSats } } }`;

it('follows proposals and the balance on the chain: made, approved, executed, undone', async () => {
  const user = await createUser(app(), 'somebody');
  const watched = app().watch(watchTreasury, {}, user);
  const balance = async () =>
    (await app().ask('{ treasury(origin: STACKS) { balanceSats } }', {}, user)).treasury.balanceSats;

  const one = blockOn(genesis(), transaction(collected(900n, 900n)), transaction(proposed(1n, 300n)));
  await deliver(app(), 'treasury', applied(one));
  const created = await watched.event('ProposalCreated');
  expect(created.proposal).toMatchObject({
    state: 'OPEN',
    origin: 'STACKS',
    amountSats: 300,
    description: '',
    threshold: 0,
    timelockUntil: null,
    expiresAt: null,
    proposer: { address: proposer },
    recipient: { address: recipient },
    approvals: [],
  });
  const proposalId = created.proposal.id as string;
  expect(await watched.event('TreasuryBalanceUpdated')).toMatchObject({
    newBalanceSats: 900,
    changeSats: 900,
    treasury: { origin: 'STACKS' },
  });

  // What makes no sense does nothing: approved twice, made twice, of no proposal, without an approver.
  const two = blockOn(
    one,
    transaction(approved(1n, proposer), approved(1n, proposer), proposed(1n, 5n)),
    transaction(approved(1n, approver), approved(9n, approver), { ...approved(1n, ''), approver: null }),
    transaction(executed(1n, 300n)),
    transaction(executed(1n, 300n)),
  );
  await deliver(app(), 'treasury', applied(two));
  await watched.count(6);
  expect(watched.events.slice(2)).toMatchObject([
    { __typename: 'ProposalApproved', approver: { address: proposer }, approvalsCount: 1, threshold: 0 },
    { __typename: 'ProposalApproved', approver: { address: approver }, approvalsCount: 2 },
    { __typename: 'ProposalExecuted', proposal: { id: proposalId, state: 'EXECUTED' } },
    { __typename: 'TreasuryBalanceUpdated', newBalanceSats: 600, changeSats: -300 },
  ]);
  expect(await balance()).toBe(600);

  // Here nobody changes it, not even a member.
  const admin = await createUser(app(), 'an admin', 0, ['ADMIN']);
  const members = { memberIds: [user.id], threshold: 1 };
  await attempt(app(), 'setTreasuryMembers', members, 'treasury { threshold }', admin);
  await watched.event('TreasuryMembersChanged');
  for (const name of ['approveProposal', 'executeProposal'])
    expect(await attempt(app(), name, { proposalId }, 'proposal { id }', user)).toEqual({
      code: 'FORBIDDEN',
      reason: 'MIRRORED',
    });

  // A reorganisation takes the execution and an approval away, and leaves the rest as it is.
  const stays = { ...two.txs[0], hash: two.txs[0]?.hash as string, prints: two.txs[0]?.prints ?? [] };
  const other = blockOn(one, transaction(collected(50n, 950n)), stays);
  await deliver(app(), 'treasury', reorganised([two], [other]));
  await watched.count(11);
  const undone = watched.events.slice(7);
  expect(undone).toMatchObject([
    { __typename: 'ProposalReorganised', rolledBack: watched.events[4].id },
    { __typename: 'ProposalReorganised', rolledBack: watched.events[3].id },
    { __typename: 'TreasuryBalanceUpdated', newBalanceSats: 900, changeSats: 300 },
    { __typename: 'TreasuryBalanceUpdated', newBalanceSats: 950, changeSats: 50 },
  ]);
  const { proposals } = await app().ask(
    `{ proposals(origin: STACKS) { edges { node { ${proposalFields} } } } }`,
    {},
    user,
  );
  expect(proposals.edges).toMatchObject([
    { node: { id: proposalId, state: 'OPEN', approvals: [{ address: proposer }] } },
  ]);

  // Undone to its beginning, it was never made, and nothing was collected.
  await deliver(app(), 'treasury', reorganised([other, one], [blockOn(genesis())]));
  await until('the end', async () => (await balance()) === 0);
  const { node } = await app().ask(
    'query ($id: ID!) { node(id: $id) { ... on Proposal { state approvals { id } } } }',
    { id: proposalId },
    user,
  );
  expect(node).toEqual({ state: 'REJECTED', approvals: [] });
  await expectMoneyAddsUp(app().services.db);
});

it('follows a transaction that makes a proposal of another number in another branch', async () => {
  const user = await createUser(app(), 'somebody else');
  const beneath = blockOn(genesis(300), transaction(collected(100n, 100n)));
  const again = transaction(proposed(22n, 30n), executed(22n, 30n));
  const mine = blockOn(beneath, again);
  await deliver(app(), 'treasury', applied(beneath, mine));
  const other = blockOn(beneath, { ...again, prints: [proposed(21n, 30n), executed(21n, 30n)] });
  await deliver(app(), 'treasury', reorganised([mine], [other]));
  const states = async () =>
    (
      await app().ask('{ proposals(origin: STACKS, first: 2) { edges { node { state } } } }', {}, user)
    ).proposals.edges.map(({ node }: { node: { state: string } }) => node.state);
  await until('both branches', async () => {
    const now = (await states()).sort();
    return now.join() === 'EXECUTED,REJECTED';
  });
  const { treasury } = await app().ask('{ treasury(origin: STACKS) { balanceSats } }', {}, user);
  expect(treasury.balanceSats).toBe(70);
});
