import { entityEventKey, type MirroredEvent } from '../inbox/chain-events.ts';
import type { Mirror } from '../inbox/mirror.ts';
import { usersAtAddresses } from '../platform/auth/users.ts';
import type { Clock } from '../platform/clock.ts';
import type { Transaction } from '../platform/database/database.ts';
import { newId } from '../platform/ids.ts';
import type { NewEvent } from '../platform/log/insertion.ts';
import type { Log } from '../platform/log/log.ts';
import { type EventProposal, treasuryEvents } from './events.ts';
import { followBalance } from './mirror-balance.ts';
import { balanceIn, type ChainProposal, type ChainStep, entityOfTreasury, replay } from './mirrored.ts';

interface Dependencies {
  readonly log: Log;
  readonly clock: Clock;
}

type Proposal = ChainProposal<MirroredEvent>;
type Step = ChainStep<MirroredEvent>;

const dateOf = (seconds: number) => new Date(seconds * 1_000);

function eventOf(
  shown: EventProposal,
  { event, proposal }: Step,
  userOf: (address: string) => string,
): NewEvent {
  if (event === proposal.proposed) return treasuryEvents.created(shown);
  if (event === proposal.executed) return treasuryEvents.executed(shown);
  const { approver } = proposal.approvals.at(-1) as { approver: string };
  return treasuryEvents.approved(shown, userOf(approver), proposal.approvals.length, 0);
}

/** Mirrors the treasury of a contract: each proposal is what its canonical events make it. No sat moves here. */
export function createTreasuryMirror({ log, clock }: Dependencies): Mirror {
  /** Writes a proposal as it is now; answers its id. */
  async function write(tx: Transaction, proposal: Proposal): Promise<string> {
    const { proposed, proposer, recipient, amountSats, description, approvals, executed } = proposal;
    const [row] = await tx.query<{ id: string }>(
      `INSERT INTO proposals (id, origin, proposer, recipient, amount_sats, description, state, threshold, chain_key,
                              created_at, updated_at)
       VALUES ($1, 'STACKS', $2, $3, $4, $5, $6, 0, $7, $8, $9)
       ON CONFLICT (chain_key) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at
       RETURNING id`,
      [
        newId('prp'),
        proposer,
        recipient,
        amountSats,
        description,
        executed ? 'EXECUTED' : 'OPEN',
        entityEventKey(proposed),
        dateOf(proposed.timestamp),
        new Date(clock.now()),
      ],
    );
    const { id } = row as { id: string };
    await tx.query('DELETE FROM proposal_approvals WHERE proposal_id = $1', [id]);
    await tx.query(
      `INSERT INTO proposal_approvals (proposal_id, approver, approved_at)
       SELECT $1, a.* FROM unnest($2::text[], $3::timestamptz[]) AS a(approver, approved_at)`,
      [
        id,
        approvals.map(({ approver }) => approver),
        approvals.map(({ timestamp }) => dateOf(timestamp).toISOString()),
      ],
    );
    return id;
  }

  /** A proposal that was never made after all. */
  async function undo(tx: Transaction, { proposed }: Proposal): Promise<string | undefined> {
    const [row] = await tx.query<{ id: string }>(
      `UPDATE proposals SET state = 'REJECTED', updated_at = $2 WHERE chain_key = $1 RETURNING id`,
      [entityEventKey(proposed), new Date(clock.now())],
    );
    await tx.query('DELETE FROM proposal_approvals WHERE proposal_id = $1', [row?.id]);
    return row?.id;
  }

  return {
    entityOf: entityOfTreasury,

    async changed(tx, _entity, history, removed, added) {
      const told = new Map<MirroredEvent, string>();
      const now = replay(history);
      // As it stood: what was removed came last, the newest first.
      const was = replay([...history.filter((event) => !added.includes(event)), ...removed.toReversed()]);
      const users = await usersAtAddresses(
        tx,
        [...now, ...was].flatMap(({ proposal: { proposer, recipient, approvals } }) => [
          proposer,
          recipient,
          ...approvals.map(({ approver }) => approver),
        ]),
        new Date(clock.now()),
      );
      const userOf = (address: string) => users.get(address) as string;
      const shown = (id: string, { proposer, recipient }: Proposal): EventProposal => ({
        id,
        origin: 'STACKS',
        proposer: userOf(proposer),
        recipient: userOf(recipient),
      });

      const present = now.at(-1)?.proposal;
      const ids = new Map<string, string>();
      if (present) ids.set(entityEventKey(present.proposed), await write(tx, present));
      const former = was.at(-1)?.proposal;
      if (former && !ids.has(entityEventKey(former.proposed))) {
        const id = await undo(tx, former);
        if (id !== undefined) ids.set(entityEventKey(former.proposed), id);
      }
      const idOf = ({ proposal }: Step) => ids.get(entityEventKey(proposal.proposed));

      for (const event of removed) {
        const step = was.find((each) => each.event === event);
        const id = step && idOf(step);
        if (id === undefined || !step || event.logEventId === null) continue;
        log.append(tx, treasuryEvents.reorganised(shown(id, step.proposal), event.logEventId));
      }
      for (const step of now) {
        if (!added.includes(step.event)) continue;
        const [logEventId] = log.append(
          tx,
          eventOf(shown(idOf(step) as string, step.proposal), step, userOf),
        );
        told.set(step.event, logEventId as string);
      }

      const stated = history.flatMap((event) => {
        const balance = balanceIn(event);
        return balance === undefined ? [] : [{ event, effect: { balance } }];
      });
      const paid = present?.executed
        ? [{ event: present.executed, effect: { change: -present.amountSats } }]
        : [];
      const balanceUpdated = await followBalance(tx, [...stated, ...paid], removed);
      if (balanceUpdated) log.append(tx, balanceUpdated);
      return told;
    },
  };
}
