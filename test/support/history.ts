import type { As, Clients, Json } from './clients.ts';

/** The whole history of a session or a job, from the log, page by page. */
export async function historyOf(
  { ask }: Clients,
  field: 'session' | 'job',
  id: string,
  as: As,
): Promise<Json[]> {
  const events: Json[] = [];
  for (let after: string | null = null; ; ) {
    const { [field]: entity } = await ask(
      `query ($id: ID!, $after: String) {
        ${field}(id: $id) {
          events(first: 100, after: $after) {
            edges { node { __typename id cursor ... on SessionDebited { memo balanceAfter } } }
            pageInfo { hasNextPage endCursor }
          }
        }
      }`,
      { id, after },
      as,
    );
    events.push(...entity.events.edges.map(({ node }: Json) => node));
    if (!entity.events.pageInfo.hasNextPage) return events;
    after = entity.events.pageInfo.endCursor;
  }
}
