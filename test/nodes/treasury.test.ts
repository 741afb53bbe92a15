import { describe, expect, it } from 'vitest';
import { attempt, change } from '../support/change.ts';
import { escrow, newJob } from '../support/escrow.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { useNodes, userMaker } from '../support/nodes.ts';
import { key } from '../support/operations.ts';
import { createUser, walletOf } from '../support/wallets.ts';

const watchTreasury = `subscription ($after: Cursor) { treasuryUpdated(after: $after) { __typename id
  ... on ProposalApproved { approver { id } approvalsCount threshold }
  ... on TreasuryBalanceUpdated { newBalanceSats changeSats } } }`;

describe.each([
  ['with Redis', {}],
  ['without Redis', { REDIS_URL: '' }],
])('%s', (_how, env) => {
  const nodes = useNodes(env);

  it('a proposal made on one node is approved and executed, once, through both, and told on both', async () => {
    const { one, two, db } = nodes();
    const maker = userMaker(nodes());
    const [employer, worker, recipient] = await Promise.all([
      createUser(maker, 'employer', 50_000),
      createUser(maker, 'worker'),
      createUser(maker, 'recipient'),
    ]);
    const admin = await createUser(maker, 'admin', 0, ['ADMIN']);
    const members = [await createUser(maker, 'first'), await createUser(maker, 'second')] as const;
    const watching = [one, two].map((node) => node.watch(watchTreasury, { after: 'START' }, recipient));

    const memberIds = members.map(({ id }) => id);
    await change(one, 'setTreasuryMembers', { memberIds, threshold: 2 }, 'treasury { threshold }', admin);
    const job = await escrow(two, 'postJob', newJob({ paySats: 50_000 }), employer);
    await escrow(one, 'acceptJob', { jobId: job.id }, worker);
    await escrow(two, 'completeJob', { jobId: job.id }, employer);
    const input = { recipientId: recipient.id, amountSats: 700, description: 'Paint the fence.' };
    const { id: proposalId } = (await change(one, 'createProposal', input, 'proposal { id }', members[0]))
      .proposal;
    // The same approval through both nodes, as a client asks again whose answer was late.
    const again = { proposalId, idempotencyKey: key() };
    await Promise.all(
      [one, two].map((node) => change(node, 'approveProposal', again, 'proposal { id }', members[0])),
    );
    await change(two, 'approveProposal', { proposalId }, 'proposal { id }', members[1]);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        attempt(n % 2 ? one : two, 'executeProposal', { proposalId }, 'proposal { id }', members[1]),
      ),
    );
    const outcomes = answers.map(({ reason }) => reason ?? 'DONE');
    expect(outcomes.sort()).toEqual(['DONE', ...Array(19).fill('INVALID_STATE')]);

    for (const each of watching) {
      await each.count(7);
      expect(each.events.map(({ id, ...event }) => event)).toEqual([
        { __typename: 'TreasuryMembersChanged' },
        { __typename: 'TreasuryBalanceUpdated', newBalanceSats: 1_000, changeSats: 1_000 },
        { __typename: 'ProposalCreated' },
        { __typename: 'ProposalApproved', approver: { id: memberIds[0] }, approvalsCount: 1, threshold: 2 },
        { __typename: 'ProposalApproved', approver: { id: memberIds[1] }, approvalsCount: 2, threshold: 2 },
        { __typename: 'TreasuryBalanceUpdated', newBalanceSats: 300, changeSats: -700 },
        { __typename: 'ProposalExecuted' },
      ]);
    }
    expect(await walletOf(maker, recipient.id)).toBe(700);
    await expectMoneyAddsUp(db);
  });
});
