import type { MirroredEvent } from '../../src/inbox/chain-events.ts';
import type { Mirror } from '../../src/inbox/mirror.ts';

/** One call of `changed`, in short. */
export interface Change {
  readonly entity: string;
  readonly history: readonly string[];
  readonly removed: readonly string[];
  readonly added: readonly string[];
  /** The log events of what was removed. */
  readonly removedFromLog: ReadonlyArray<string | null>;
}

/** What an event is called in tests: its name, and its `n`. */
export const called = ({ name, value }: MirroredEvent) => `${name} ${value.n}`;

/** The domain of a test: its entities are the `entity` of what is printed, and their state is their history. */
export function recordingMirror() {
  const changes: Change[] = [];
  const state = new Map<string, readonly MirroredEvent[]>();
  let told = 0;
  const mirror: Mirror = {
    entityOf: ({ value }) => (typeof value.entity === 'string' ? value.entity : undefined),
    async changed(tx, entity, history, removed, added) {
      const ids = new Map(
        added.map((event) => {
          told += 1;
          return [event, `told-${told}`] as const;
        }),
      );
      tx.afterCommit(() => {
        state.set(entity, history);
        changes.push({
          entity,
          history: history.map(called),
          removed: removed.map(called),
          added: added.map(called),
          removedFromLog: removed.map(({ logEventId }) => logEventId),
        });
      });
      return ids;
    },
  };
  return { mirror, changes, state };
}
