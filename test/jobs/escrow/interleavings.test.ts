import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type EscrowJobAction, type EscrowJobState, nextState } from '../../../src/jobs/escrow/machine.ts';
import { escrowJobsByIds } from '../../../src/jobs/escrow/queries.ts';
import type { Viewer } from '../../../src/platform/auth/viewer.ts';
import { PublicError } from '../../../src/platform/errors.ts';
import { useTestApp } from '../../support/app.ts';
import { movableClock } from '../../support/clock.ts';
import { escrow, escrowRefusal, newJob, toldOf } from '../../support/escrow.ts';
import { expectMoneyAddsUp } from '../../support/money.ts';
import { key } from '../../support/operations.ts';
import { until } from '../../support/until.ts';
import { createUser, walletOf } from '../../support/wallets.ts';

const clock = movableClock();
const app = useTestApp({}, { clock });

it('has one of fifty workers, and tells the others that it is taken', async () => {
  const employer = await createUser(app(), 'wanted employer', 1_000);
  const workers = await Promise.all(
    Array.from({ length: 50 }, (_, index) => createUser(app(), `eager worker ${index}`)),
  );
  const { id } = await escrow(app(), 'postJob', newJob(), employer);
  const answers = await Promise.all(
    workers.map((worker) => escrowRefusal(app(), 'acceptJob', { jobId: id }, worker)),
  );
  expect(answers.filter((answer) => answer === undefined)).toHaveLength(1);
  expect(answers.filter((answer) => answer !== undefined)).toEqual(
    Array(49).fill({ code: 'CONFLICT', reason: 'TAKEN' }),
  );
  const winner = workers[answers.indexOf(undefined)]!;
  expect((await toldOf(app(), `job:${id}`)).map(({ type, facts }) => [type, facts.worker])).toEqual([
    ['JobPosted', undefined],
    ['JobAccepted', winner.id],
  ]);
});

const hourMs = 3_600_000;
const purse = 1_000_000n;
const pay = 1_000n;
const people = 4;

/** What somebody tries; jobs and people are chosen by number among those that there are. */
interface Step {
  readonly does: 'POST' | 'TIME' | Exclude<EscrowJobAction, 'EXPIRE'>;
  readonly who: number;
  readonly job: number;
  readonly item: number;
  readonly twice: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  does: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('POST' as const) },
    { weight: 12, arbitrary: fc.constantFrom('ACCEPT' as const, 'WITHDRAW' as const, 'COMPLETE' as const) },
    { weight: 6, arbitrary: fc.constantFrom('CHECK' as const, 'CANCEL' as const) },
    { weight: 1, arbitrary: fc.constantFrom('TIME' as const) },
  ),
  who: fc.nat(people - 1),
  job: fc.nat(20),
  item: fc.integer({ min: 1, max: 3 }),
  twice: fc.boolean(),
});

const actionOf: Readonly<Record<string, EscrowJobAction>> = {
  JobAccepted: 'ACCEPT',
  JobWithdrawn: 'WITHDRAW',
  JobChecklistUpdated: 'CHECK',
  JobCompleted: 'COMPLETE',
  JobCancelled: 'CANCEL',
  JobRefunded: 'EXPIRE',
};

const viewerOf = (id: string): Viewer => ({
  user: { id, roles: ['USER'], tokenId: '', issuedAt: new Date(), expiresAt: new Date() },
  objects: new Set(),
  bearerObject: undefined,
});

/** Commands that run at the same time, and which of them were carried out. */
async function run(batches: readonly (readonly Step[])[], users: readonly string[]) {
  const { escrowJobs } = app().services;
  const jobs: string[] = [];
  const done: string[] = [];

  async function attempt({ does, who, job, item }: Step, idempotencyKey: string): Promise<void> {
    const userId = users[who] as string;
    const viewer = viewerOf(userId);
    if (does === 'TIME') return clock.advance(hourMs);
    if (does === 'POST') {
      // A repetition would come with another deadline, as it is told by a clock that moves.
      const deadline = new Date(Math.ceil(clock.now() / hourMs) * hourMs + (1 + (job % 4)) * hourMs);
      const { jobId } = await escrowJobs.post(viewer, {
        title: 'A job',
        jobType: null,
        paySats: pay,
        payAmountUsd: null,
        deadline,
        checklist: ['one', 'two', 'three'],
        idempotencyKey,
      });
      jobs.push(jobId);
      return;
    }
    const jobId = jobs[job % jobs.length];
    if (jobId === undefined) return;
    const input = { jobId, idempotencyKey };
    if (does === 'ACCEPT') await escrowJobs.accept(viewer, input);
    if (does === 'WITHDRAW') await escrowJobs.withdraw(viewer, input);
    if (does === 'COMPLETE') await escrowJobs.complete(viewer, input);
    if (does === 'CANCEL') await escrowJobs.cancel(viewer, input);
    if (does === 'CHECK')
      await escrowJobs.check(viewer, { ...input, itemId: `${item}`, completed: job % 2 === 0 });
    done.push(`${does} ${userId} ${jobId} ${idempotencyKey}`);
  }

  for (const batch of batches)
    await Promise.all(
      batch.flatMap((what) => {
        const idempotencyKey = key();
        const times = what.twice && what.does !== 'POST' && what.does !== 'TIME' ? 2 : 1;
        return Array.from({ length: times }, () =>
          attempt(what, idempotencyKey).catch((error) => {
            if (!(error instanceof PublicError)) throw error;
          }),
        );
      }),
    );
  return { jobs, done: new Set(done) };
}

it('loses and makes no sat, and comes to each state by its steps alone, whoever does what at the same time', async () => {
  const reached = new Set<EscrowJobState>();
  let round = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 8 }),
      async (batches) => {
        round += 1;
        const { db, ledger } = app().services;
        const users: string[] = [];
        for (let index = 0; index < people; index += 1)
          users.push((await createUser(app(), `round ${round} ${index}`, Number(purse))).id);
        const { jobs, done } = await run(batches, users);

        // The time of all of them comes to its end, and then nothing is held any more.
        clock.advance(6 * hourMs);
        await until('the end of all jobs', async () =>
          (await escrowJobsByIds(db, jobs)).every(({ state }) => state !== 'OPEN' && state !== 'ACCEPTED'),
        );
        const wallets = new Map(users.map((id) => [id, purse]));
        const move = (id: string, sats: bigint) => wallets.set(id, wallets.get(id)! + sats);
        const changes: Record<string, number> = {};
        for (const job of await escrowJobsByIds(db, jobs)) {
          const [posted, ...events] = await toldOf(app(), `job:${job.id}`);
          expect(posted).toMatchObject({ type: 'JobPosted', facts: { paySats: 1_000 } });
          move(job.employer, -pay);
          let state: EscrowJobState = 'OPEN';
          let worker: unknown = null;
          for (const { type, facts } of events) {
            const action = actionOf[type] as EscrowJobAction;
            changes[action] = (changes[action] ?? 0) + 1;
            state = nextState(state, action) as EscrowJobState;
            expect(state).toBeDefined();
            if (action === 'ACCEPT') worker = facts.worker;
            if (action === 'WITHDRAW') {
              expect(facts.worker).toBe(worker);
              worker = null;
            }
            if (action === 'COMPLETE') move(worker as string, 980n);
            if (action === 'CANCEL' || action === 'EXPIRE') move(job.employer, pay);
          }
          expect(job).toMatchObject({ state, worker });
          expect(worker).not.toBe(job.employer);
          reached.add(state);
          expect(await ledger.balance(db, `job:${job.id}`)).toBe(0n);
          expect(new Set([posted, ...events].map((event) => event?.id)).size).toBe(events.length + 1);
          const kept = [posted, ...events].filter((event) => event?.type !== 'JobChecklistUpdated');
          const onBoard = (await toldOf(app(), 'jobs')).filter(({ facts }) => facts.jobId === job.id);
          expect(onBoard.map(({ id }) => id)).toEqual(kept.map((event) => event?.id));
        }
        // Each command that was carried out is in the log, once.
        for (const action of ['ACCEPT', 'WITHDRAW', 'COMPLETE', 'CANCEL'])
          expect([action, changes[action] ?? 0]).toEqual([
            action,
            [...done].filter((line) => line.startsWith(`${action} `)).length,
          ]);
        for (const [id, sats] of wallets) expect(await walletOf(app(), id)).toBe(Number(sats));
        await expectMoneyAddsUp(db);
      },
    ),
    { numRuns: 25, endOnFailure: true },
  );
  expect(reached).toEqual(new Set(['COMPLETED', 'REFUNDED', 'CANCELLED']));
}, 120_000);
