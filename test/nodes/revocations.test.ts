import { describe, expect, it } from 'vitest';
import type { Json } from '../support/clients.ts';
import { type Node, type Nodes, useNodes } from '../support/nodes.ts';
import { createJob, watchJob } from '../support/operations.ts';
import { openSocket, type RawSocket } from '../support/raw-socket.ts';
import { openStream } from '../support/raw-sse.ts';
import { until } from '../support/until.ts';
import { bearer } from '../support/watching.ts';

const revoke = 'mutation ($input: RevokeTokensInput!) { revokeTokens(input: $input) { revoked } }';

async function watching(node: Node, token: string, job: Json): Promise<RawSocket> {
  const socket = await openSocket(node.webSocketUrl, bearer(token));
  socket.subscribe('watch', watchJob, { id: job.id });
  await socket.count('watch', 1);
  return socket;
}

/** Has somebody watch on both nodes, over both transports, and shows that what revokes their token ends all of it. */
async function expectEnded(
  { one, two }: Nodes,
  subject: string,
  revoking: (token: string) => Promise<unknown>,
): Promise<void> {
  const [token, other] = [await one.token(subject), await one.token(`not ${subject}`)];
  const { job } = await createJob(one, 'Be watched.', { token });
  const { job: others } = await createJob(one, 'Be watched too.', { token: other });
  const sockets = [await watching(one, token, job), await watching(two, token, job)];
  const unconcerned = [await watching(one, other, others), await watching(two, other, others)];
  const streams = await Promise.all(
    [one, two].map(({ url }) => openStream(url, watchJob, { id: job.id }, { token })),
  );
  for (const stream of streams) await stream.events(1);

  await revoking(token);
  for (const socket of sockets) {
    expect(await socket.closed).toEqual({ code: 4401, reason: 'Token revoked' });
    expect(socket.of('watch').map(({ type }) => type)).toEqual(['next']);
  }
  for (const stream of streams) expect(await stream.end()).not.toContain('complete');
  for (const node of [one, two]) {
    const { errors } = await node.send('{ viewer { roles } }', {}, { token });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'TOKEN_INVALID' });
  }
  for (const socket of unconcerned) {
    socket.subscribe('ask', '{ viewer { roles } }');
    expect((await socket.over('ask'))[0].payload.data).toEqual({ viewer: { roles: ['USER'] } });
  }
}

/** Revokes one token, and all of a user; the users are those of one test alone. */
async function expectRevocationsFollowed(nodes: Nodes, when: string): Promise<void> {
  const { one, two } = nodes;
  const admin = { token: await two.token('root', ['ADMIN']) };
  await expectEnded(nodes, `alice ${when}`, (token) =>
    two.ask('mutation { signOut { signedOut } }', {}, { token }),
  );
  await expectEnded(nodes, `bob ${when}`, async (token) => {
    const { viewer } = await one.ask('{ viewer { user { id } } }', {}, { token });
    await one.ask(revoke, { input: { userId: viewer.user.id } }, admin);
  });
}

describe('without Redis', () => {
  const nodes = useNodes({ REDIS_URL: '' });

  it('what is revoked on one node ends on every node', async () => {
    await expectRevocationsFollowed(nodes(), 'without Redis');
  });
});

describe('with Redis', () => {
  const nodes = useNodes();

  it('what is revoked on one node ends on every node, also while Redis is down', async () => {
    const { one, two, redis } = nodes();
    await expectRevocationsFollowed(nodes(), 'before');
    await redis.kill();
    for (const { url } of [one, two])
      await until('it to be noticed', async () =>
        (await (await fetch(new URL('/metrics', url))).text()).includes('satwire_bus_connected 0'),
      );
    await expectRevocationsFollowed(nodes(), 'meanwhile');
  });
});
