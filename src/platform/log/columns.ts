/**
 * The columns that tell where a row's feed stands, read in the same statement as the row itself: subscribing
 * behind this position misses nothing that the row does not show. `topic` is an SQL expression.
 */
export function feedColumns(topic: string): string {
  return `coalesce((SELECT t.epoch FROM topics t WHERE t.topic = ${topic}), (SELECT epoch FROM database_info)) AS "feedEpoch",
    coalesce((SELECT t.head FROM topics t WHERE t.topic = ${topic}), 0) AS "feedHead"`;
}

/** What `feedColumns` give. */
export interface FeedColumns {
  readonly feedEpoch: string;
  readonly feedHead: bigint;
}
