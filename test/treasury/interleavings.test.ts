import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { LogRow } from '../../src/platform/log/event.ts';
import { afterApproval, allows, type ProposalState } from '../../src/treasury/machine.ts';
import { proposalsByIds } from '../../src/treasury/queries.ts';
import { useTestApp } from '../support/app.ts';
import { attempt, change } from '../support/change.ts';
import { movableClock } from '../support/clock.ts';
import { expectMoneyAddsUp } from '../support/money.ts';
import { key } from '../support/operations.ts';
import { until } from '../support/until.ts';
import { createUser, fund, walletOf } from '../support/wallets.ts';

const expirySeconds = 3_600;
const clock = movableClock();
const app = useTestApp({ TREASURY_PROPOSAL_EXPIRY_SECONDS: String(expirySeconds) }, { clock });

/** What is tried at the same time as the rest of its batch; the last of the people is no member. */
const command = fc.record({
  do: fc.oneof(
    { weight: 3, arbitrary: fc.constant('propose' as const) },
    { weight: 8, arbitrary: fc.constant('approve' as const) },
    { weight: 6, arbitrary: fc.constant('execute' as const) },
    { weight: 1, arbitrary: fc.constant('rules' as const) },
  ),
  who: fc.nat(3),
  on: fc.nat(5),
  sats: fc.integer({ min: 1, max: 60 }),
  twice: fc.boolean(),
});
type Command = typeof command extends fc.Arbitrary<infer Value> ? Value : never;

const batch = fc.record({
  seconds: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1_500) }),
  fees: fc.integer({ min: 0, max: 80 }),
  commands: fc.array(command, { minLength: 1, maxLength: 8 }),
});

const balance = async () => Number(await app().services.ledger.balance(app().services.db, 'treasury'));

async function createRun() {
  const { db, ledger, feeds } = app().services;
  const admin = await createUser(app(), 'admin', 0, ['ADMIN']);
  const people = await Promise.all([0, 1, 2, 3].map(() => createUser(app(), `person ${key()}`)));
  const recipient = await createUser(app(), `recipient ${key()}`);
  const payer = await createUser(app(), `payer ${key()}`);
  const ids: string[] = [];
  const done = new Map<string, number>();
  const begun = await balance();
  let fees = 0;

  const setRules = (threshold: number) =>
    change(
      app(),
      'setTreasuryMembers',
      { memberIds: people.slice(0, 3).map(({ id }) => id), threshold },
      'treasury { threshold }',
      admin,
    );
  await setRules(2);

  async function fill(sats: number): Promise<void> {
    if (sats === 0) return;
    await fund(app(), payer.id, sats);
    await db.transaction((tx) =>
      ledger.transfer(tx, {
        key: `fee:${key()}`,
        from: `wallet:${payer.id}`,
        to: 'treasury',
        amount: BigInt(sats),
        reason: 'FEE',
      }),
    );
    fees += sats;
  }

  async function act({ do: kind, who, on, sats, twice }: Command): Promise<void> {
    if (kind === 'rules') return void (await setRules(1 + (sats % 3)));
    const as = people[who] as { token: string };
    const idempotencyKey = key();
    const proposalId = ids[on % Math.max(ids.length, 1)];
    if (kind !== 'propose' && proposalId === undefined) return;
    const send = () =>
      kind === 'propose'
        ? attempt(
            app(),
            'createProposal',
            { recipientId: recipient.id, amountSats: sats, description: 'x', idempotencyKey },
            'proposal { id }',
            as,
          )
        : attempt(app(), `${kind}Proposal`, { proposalId, idempotencyKey }, 'proposal { id }', as);
    const answers = await Promise.all(twice ? [send(), send()] : [send()]);
    for (const { code } of answers)
      if (code) expect(code).toBeOneOf(['CONFLICT', 'FORBIDDEN', 'INSUFFICIENT_FUNDS']);
    const made = answers.flatMap(({ answer }) => answer?.proposal.id ?? []);
    if (made.length === 0) return;
    // Who asks twice with one key is answered the same, and it was done once.
    expect(new Set(made).size).toBe(1);
    expect(who).toBeLessThan(3);
    if (kind === 'propose') ids.push(made[0] as string);
    const name = `${kind} ${made[0]}`;
    done.set(name, (done.get(name) ?? 0) + 1);
  }

  /** Has each proposal go from state to state as the treasury's feed tells. */
  async function check(): Promise<Set<string>> {
    clock.advance((expirySeconds + 1) * 1_000);
    const proposals = await until('the end of all proposals', async () => {
      const present = await proposalsByIds(db, ids);
      return present.every(({ state }) => !allows(state, 'EXPIRE')) ? present : undefined;
    });
    const rows: LogRow[] = await feeds.log.readPage('treasury', 0, 100_000);
    expect(new Set(rows.map(({ event }) => event.id)).size).toBe(rows.length);
    const reached = new Set<string>();
    let spent = 0;
    for (const { id, state, threshold, approvers, amountSats } of proposals) {
      const events = rows.map(({ event }) => event).filter(({ facts }) => facts.proposalId === id);
      let now: ProposalState = 'OPEN';
      const approved: unknown[] = [];
      expect(events[0]?.type).toBe('ProposalCreated');
      for (const { type, facts } of events.slice(1)) {
        reached.add(type);
        if (type === 'ProposalApproved') {
          expect(allows(now, 'APPROVE')).toBe(true);
          expect(approved).not.toContain(facts.approver);
          approved.push(facts.approver);
          expect(facts).toMatchObject({ approvalsCount: approved.length, threshold });
          now = afterApproval(approved.length, threshold);
          continue;
        }
        const action = type === 'ProposalExecuted' ? 'EXECUTE' : 'EXPIRE';
        expect(allows(now, action)).toBe(true);
        now = action === 'EXECUTE' ? 'EXECUTED' : 'EXPIRED';
        if (action === 'EXECUTE') spent += Number(amountSats);
      }
      expect({ state, approvers: [...approvers].sort() }).toEqual({ state: now, approvers: approved.sort() });
      expect(done.get(`approve ${id}`) ?? 0).toBe(approved.length);
      expect(done.get(`execute ${id}`) ?? 0).toBe(now === 'EXECUTED' ? 1 : 0);
    }
    expect(await walletOf(app(), recipient.id)).toBe(spent);
    expect(await balance()).toBe(begun + fees - spent);
    // What the feed says of the balance follows from what it said before, and is never below nothing.
    const told = rows.flatMap(({ event: { type, facts } }) =>
      type === 'TreasuryBalanceUpdated' ? [facts as { newBalanceSats: number; changeSats: number }] : [],
    );
    for (const [index, { newBalanceSats, changeSats }] of told.entries())
      expect(newBalanceSats).toBe((told[index - 1]?.newBalanceSats ?? 0) + changeSats);
    expect(Math.min(0, ...told.map(({ newBalanceSats }) => newBalanceSats))).toBe(0);
    await expectMoneyAddsUp(db);
    return reached;
  }

  return { act, fill, check };
}

it('spends only what was approved, once, however all that can be done to proposals interleaves', async () => {
  const reached = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(batch, { minLength: 4, maxLength: 12 }), async (batches) => {
      const run = await createRun();
      for (const { seconds, fees, commands } of batches) {
        clock.advance(seconds * 1_000);
        await Promise.all([run.fill(fees), ...commands.map(run.act)]);
      }
      for (const type of await run.check()) reached.add(type);
    }),
    { numRuns: 8, endOnFailure: true },
  );
  expect([...reached].sort()).toEqual(['ProposalApproved', 'ProposalExecuted', 'ProposalExpired']);
}, 120_000);
