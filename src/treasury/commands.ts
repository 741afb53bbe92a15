import type { Ledger } from '../money/ledger.ts';
import type { Sats } from '../money/sats.ts';
import { requireUser, type Viewer } from '../platform/auth/viewer.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database, Transaction } from '../platform/database/database.ts';
import { forbidden } from '../platform/errors.ts';
import type { Idempotency } from '../platform/idempotency.ts';
import { newId } from '../platform/ids.ts';
import type { Log } from '../platform/log/log.ts';
import type { WorkQueue } from '../platform/work/queue.ts';
import { treasuryErrors } from './errors.ts';
import { treasuryEvents } from './events.ts';
import { afterApproval, allows, type ProposalAction, type ProposalState } from './machine.ts';
import { holdRules, isMember, lockProposal, type Proposal } from './queries.ts';

export type Treasury = ReturnType<typeof createTreasury>;

interface Dependencies {
  readonly db: Database;
  readonly log: Log;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly queue: WorkQueue;
  readonly idempotency: Idempotency;
  /** A proposal that was not executed for this long expires; seconds. */
  readonly proposalExpirySeconds: number;
}

/** Which proposal, and the key of the request. */
interface Request {
  readonly proposalId: string;
  readonly idempotencyKey: string;
}

/** The end of proposals that nobody executes; the key is the proposal's id. */
export const proposalExpiryWork = 'proposal.expiry';

const mostMembers = 50;

/** The treasury: what the platform's fees have come to, spent by the votes of its members. */
export function createTreasury(deps: Dependencies) {
  const { db, log, clock, ledger, queue, idempotency, proposalExpirySeconds } = deps;
  const now = () => new Date(clock.now());

  async function locked(tx: Transaction, id: string): Promise<Proposal> {
    const proposal = await lockProposal(tx, id);
    if (!proposal) throw forbidden();
    if (proposal.origin !== 'SATWIRE') throw treasuryErrors.mirrored();
    return proposal;
  }

  /** Also before its timer has noticed, a proposal whose time is up has expired. */
  function require({ state, expiresAt }: Proposal, action: ProposalAction): void {
    if (!allows(state, action)) throw treasuryErrors.wrongState(state);
    if (expiresAt && expiresAt.getTime() <= clock.now()) throw treasuryErrors.wrongState('EXPIRED');
  }

  async function save(
    tx: Transaction,
    { id, timelockUntil }: Proposal,
    state: ProposalState,
    until: Date | null = timelockUntil,
  ): Promise<void> {
    await tx.query('UPDATE proposals SET state = $2, timelock_until = $3, updated_at = $4 WHERE id = $1', [
      id,
      state,
      until,
      now(),
    ]);
  }

  /** Does something to a proposal for a member, in one transaction; a repeated request does nothing. */
  function asMember(
    viewer: Viewer,
    mutation: string,
    action: ProposalAction,
    { proposalId, idempotencyKey }: Request,
    work: (tx: Transaction, proposal: Proposal, caller: string) => Promise<void>,
  ): Promise<void> {
    const { id: caller } = requireUser(viewer);
    const request = { caller, mutation, key: idempotencyKey, input: { proposalId } };
    return db.transaction(async (tx) => {
      await holdRules(tx);
      const proposal = await locked(tx, proposalId);
      if (await idempotency.claim(tx, request, { proposalId }, 'FOR_GOOD')) return;
      if (!(await isMember(tx, caller))) throw forbidden();
      require(proposal, action);
      await work(tx, proposal, caller);
    });
  }

  return {
    /**
     * Says who decides, how many of them it takes, and how long an approved proposal waits; for new proposals.
     * @throws PublicError BAD_USER_INPUT, CONFLICT.
     */
    async setMembers(
      viewer: Viewer,
      input: {
        readonly memberIds: readonly string[];
        readonly threshold: number;
        readonly timelockSeconds: number;
        readonly idempotencyKey: string;
      },
    ): Promise<void> {
      const { idempotencyKey, ...rules } = input;
      const { memberIds, threshold, timelockSeconds } = rules;
      const members = [...new Set(memberIds)];
      if (members.length !== memberIds.length) throw treasuryErrors.members('A member is named twice.');
      if (members.length < 1 || members.length > mostMembers)
        throw treasuryErrors.members(`There must be 1 to ${mostMembers} members.`);
      if (threshold < 1 || threshold > members.length) throw treasuryErrors.threshold(members.length);
      const { id: caller } = requireUser(viewer);
      const request = { caller, mutation: 'setTreasuryMembers', key: idempotencyKey, input: rules };
      await db.transaction(async (tx) => {
        if (await idempotency.claim(tx, request, {})) return;
        await tx.query('UPDATE treasury_rules SET threshold = $1, timelock_seconds = $2', [
          threshold,
          timelockSeconds,
        ]);
        await tx.query('DELETE FROM treasury_members');
        const known = await tx.query(
          `INSERT INTO treasury_members (user_id, position)
           SELECT u.id, m.position FROM unnest($1::text[]) WITH ORDINALITY AS m(id, position)
           JOIN users u ON u.id = m.id AND u.subject IS NOT NULL RETURNING 1`,
          [members],
        );
        if (known.length !== members.length) throw treasuryErrors.members('A member is no user.');
        log.append(tx, treasuryEvents.membersChanged(members.length, threshold));
      });
    },

    /**
     * A member proposes to spend. It keeps the threshold and the timelock that it is made under.
     * @throws PublicError FORBIDDEN (also for a recipient who does not exist), CONFLICT.
     */
    async propose(
      viewer: Viewer,
      input: {
        readonly recipientId: string;
        readonly amountSats: Sats;
        readonly description: string;
        readonly idempotencyKey: string;
      },
    ): Promise<{ proposalId: string }> {
      const { idempotencyKey, ...content } = input;
      const { id: proposer } = requireUser(viewer);
      const proposalId = newId('prp');
      const request = { caller: proposer, mutation: 'createProposal', key: idempotencyKey, input: content };
      return db.transaction(async (tx) => {
        const { threshold, timelockSeconds } = await holdRules(tx);
        const earlier = await idempotency.claim(tx, request, { proposalId }, 'FOR_GOOD');
        if (earlier) return earlier;
        if (!(await isMember(tx, proposer))) throw forbidden();
        const expiresAt = new Date(clock.now() + proposalExpirySeconds * 1_000);
        const { recipientId, amountSats, description } = content;
        const made = await tx.query(
          `INSERT INTO proposals (id, origin, proposer, recipient, amount_sats, description, state, threshold,
                                  timelock_seconds, expires_at, created_at, updated_at)
           SELECT $1, 'SATWIRE', $2, u.id, $4, $5, 'OPEN', $6, $7, $8, $9, $9 FROM users u
           WHERE u.id = $3 AND u.subject IS NOT NULL RETURNING 1`,
          [
            proposalId,
            proposer,
            recipientId,
            amountSats,
            description,
            threshold,
            timelockSeconds,
            expiresAt,
            now(),
          ],
        );
        if (made.length === 0) throw forbidden();
        await queue.schedule(tx, proposalExpiryWork, proposalId, expiresAt);
        log.append(
          tx,
          treasuryEvents.created({ id: proposalId, origin: 'SATWIRE', proposer, recipient: recipientId }),
        );
        return { proposalId };
      });
    },

    /**
     * A member approves, once; at the threshold the proposal is APPROVED, and its timelock begins.
     * @throws PublicError FORBIDDEN, CONFLICT (INVALID_STATE, also for a second approval).
     */
    approve(viewer: Viewer, input: Request): Promise<void> {
      return asMember(viewer, 'approveProposal', 'APPROVE', input, async (tx, proposal, approver) => {
        if (proposal.approvers.includes(approver)) throw treasuryErrors.approvedAlready();
        await tx.query(
          'INSERT INTO proposal_approvals (proposal_id, approver, approved_at) VALUES ($1, $2, $3)',
          [proposal.id, approver, now()],
        );
        const count = proposal.approvers.length + 1;
        const state = afterApproval(count, proposal.threshold);
        const isLocked = state === 'APPROVED' && proposal.timelockSeconds > 0;
        await save(
          tx,
          proposal,
          state,
          isLocked ? new Date(clock.now() + proposal.timelockSeconds * 1_000) : null,
        );
        log.append(tx, treasuryEvents.approved(proposal, approver, count, proposal.threshold));
      });
    },

    /**
     * A member has an approved proposal paid, once its timelock is over.
     * @throws PublicError FORBIDDEN, INSUFFICIENT_FUNDS (it stays APPROVED), CONFLICT (INVALID_STATE).
     */
    execute(viewer: Viewer, input: Request): Promise<void> {
      return asMember(viewer, 'executeProposal', 'EXECUTE', input, async (tx, proposal) => {
        const { id, recipient, amountSats, timelockUntil } = proposal;
        if (timelockUntil && timelockUntil.getTime() > clock.now())
          throw treasuryErrors.locked(timelockUntil);
        await ledger.transfer(tx, {
          key: `executed:${id}`,
          from: 'treasury',
          to: `wallet:${recipient}`,
          amount: amountSats,
          reason: 'PROPOSAL_EXECUTED',
        });
        await save(tx, proposal, 'EXECUTED');
        await queue.cancel(tx, proposalExpiryWork, id);
        log.append(tx, treasuryEvents.executed(proposal));
      });
    },

    /** Expires a proposal that nobody has executed in time. */
    expire(proposalId: string): Promise<void> {
      return db.transaction(async (tx) => {
        const proposal = await locked(tx, proposalId);
        if (!allows(proposal.state, 'EXPIRE')) return;
        await save(tx, proposal, 'EXPIRED');
        log.append(tx, treasuryEvents.expired(proposal));
      });
    },
  };
}
