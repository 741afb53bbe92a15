import { balanceColumn } from '../money/ledger.ts';
import type { Sats } from '../money/sats.ts';
import type { Queryable, Transaction } from '../platform/database/database.ts';
import { type Page, readPageOf } from '../platform/database/page.ts';
import { type FeedColumns, feedColumns } from '../platform/log/columns.ts';
import type { TreasuryOrigin } from './events.ts';
import type { ProposalState } from './machine.ts';

export interface Proposal {
  readonly id: string;
  readonly origin: TreasuryOrigin;
  /** Users, also of a mirrored proposal. */
  readonly proposer: string;
  readonly recipient: string;
  readonly amountSats: Sats;
  readonly description: string;
  readonly state: ProposalState;
  /** How many approvals it takes; 0 where the chain does not say. */
  readonly threshold: number;
  readonly timelockSeconds: number;
  readonly timelockUntil: Date | null;
  readonly expiresAt: Date | null;
  /** Users, in the order of their approvals. */
  readonly approvers: readonly string[];
  readonly createdAt: Date;
}

/** A treasury as it is shown: beside its state its feed's position. */
export interface TreasuryView extends FeedColumns {
  readonly origin: TreasuryOrigin;
  readonly balanceSats: Sats;
  /** Users. */
  readonly members: readonly string[];
  readonly threshold: number;
}

const userOf = (column: string) =>
  `CASE WHEN origin = 'STACKS' THEN (SELECT user_id FROM user_addresses WHERE address = ${column}) ELSE ${column} END`;

const columns = `id, origin, ${userOf('proposer')} AS proposer, ${userOf('recipient')} AS recipient,
  amount_sats AS "amountSats", description, state, threshold, timelock_seconds AS "timelockSeconds",
  timelock_until AS "timelockUntil", expires_at AS "expiresAt", created_at AS "createdAt",
  ARRAY(
    SELECT CASE WHEN proposals.origin = 'STACKS' THEN (SELECT user_id FROM user_addresses WHERE address = a.approver)
      ELSE a.approver END
    FROM proposal_approvals a WHERE a.proposal_id = proposals.id ORDER BY a.approved_at, a.approver
  ) AS approvers`;

/** Proposals by id; unknown ones are left out. */
export function proposalsByIds(db: Queryable, ids: readonly string[]): Promise<Proposal[]> {
  return db.query<Proposal>(`SELECT ${columns} FROM proposals WHERE id = ANY($1::text[])`, [ids]);
}

/** A proposal, locked until the transaction ends. */
export async function lockProposal(tx: Transaction, id: string): Promise<Proposal | undefined> {
  // Its approvals are read behind the lock: a statement that waits for one sees only its own row anew.
  await tx.query('SELECT 1 FROM proposals WHERE id = $1 FOR UPDATE', [id]);
  return (await proposalsByIds(tx, [id]))[0];
}

/** Proposals, newest first; of one origin if given. */
export function listProposals(
  db: Queryable,
  { origin }: { readonly origin?: TreasuryOrigin | undefined },
  page: Page,
): Promise<Proposal[]> {
  return readPageOf<Proposal>(db, 'proposals', columns, { origin }, page);
}

/** Who decides about the treasury here, and how many of them it takes. */
export interface TreasuryRules {
  readonly threshold: number;
  readonly timelockSeconds: number;
}

/** The rules, which do not change until the transaction ends. */
export async function holdRules(tx: Transaction): Promise<TreasuryRules> {
  const [rules] = await tx.query<TreasuryRules>(
    'SELECT threshold, timelock_seconds AS "timelockSeconds" FROM treasury_rules FOR SHARE',
  );
  return rules as TreasuryRules;
}

/** Whether a user is a member of the treasury. */
export async function isMember(db: Queryable, userId: string): Promise<boolean> {
  return (await db.query('SELECT 1 FROM treasury_members WHERE user_id = $1', [userId])).length > 0;
}

/** What the chain's treasuries hold: of each the last balance that it states, and what it has paid since; sats. */
export const chainBalance = `(SELECT coalesce(sum(coalesce(stated.balance_sats, 0) + coalesce(changes.sats, 0)), 0)::bigint
  FROM chain_treasuries contracts
  LEFT JOIN LATERAL (
    SELECT * FROM chain_balances b WHERE b.contract = contracts.contract AND b.balance_sats IS NOT NULL
    ORDER BY height DESC, tx_index DESC, event_index DESC LIMIT 1
  ) stated ON true
  LEFT JOIN LATERAL (
    SELECT sum(change_sats) AS sats FROM chain_balances b
    WHERE b.contract = contracts.contract AND b.change_sats IS NOT NULL
      AND (b.height, b.tx_index, b.event_index) > (stated.height, stated.tx_index, stated.event_index)
  ) changes ON true)`;

/** Treasuries by origin. */
export async function treasuriesByOrigin(db: Queryable, origins: readonly string[]): Promise<TreasuryView[]> {
  const [here] = await db.query<TreasuryView & { readonly chainBalanceSats: Sats }>(
    `SELECT 'SATWIRE' AS origin, ${balanceColumn("'treasury'", 'balanceSats')}, threshold,
       ARRAY(SELECT user_id FROM treasury_members ORDER BY position) AS members,
       ${chainBalance} AS "chainBalanceSats", ${feedColumns("'treasury'")}
     FROM treasury_rules`,
  );
  const { chainBalanceSats, ...own } = here as TreasuryView & { readonly chainBalanceSats: Sats };
  const onChain = {
    ...own,
    origin: 'STACKS',
    balanceSats: chainBalanceSats,
    members: [],
    threshold: 0,
  } as const;
  return [own, onChain].filter(({ origin }) => origins.includes(origin));
}
