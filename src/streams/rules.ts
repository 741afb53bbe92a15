import type { Transaction } from '../platform/database/database.ts';
import type { Stream } from './queries.ts';

/** What another domain has to say about streams; within their transactions, the stream locked. */
export interface StreamRule {
  /** Nothing more will vest: it was cancelled, or has vested to its end. */
  ended(tx: Transaction, stream: Stream, reason: 'CANCELLED' | 'VESTED'): Promise<void>;
}

export type StreamRules = ReturnType<typeof createStreamRules>;

/** The rules that other domains have registered. */
export function createStreamRules() {
  const rules: StreamRule[] = [];
  return {
    add(rule: StreamRule): void {
      rules.push(rule);
    },
    async ended(tx: Transaction, stream: Stream, reason: 'CANCELLED' | 'VESTED'): Promise<void> {
      for (const rule of rules) await rule.ended(tx, stream, reason);
    },
  };
}
