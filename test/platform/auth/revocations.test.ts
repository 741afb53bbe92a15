import { expect, it } from 'vitest';
import { createConnections, type EndReason } from '../../../src/platform/auth/connections.ts';
import { followRevocations, presentRevocation } from '../../../src/platform/auth/revocations.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { startTestApp } from '../../support/app.ts';
import { until } from '../../support/until.ts';
import { anonymous } from '../../support/viewers.ts';

it('goes on following after a failure', async () => {
  const { services } = await startTestApp();
  const { feeds, revocations } = services;
  let failures = 2;
  const attach: typeof feeds.hub.attach = (topic) => {
    failures -= 1;
    return failures < 0 ? feeds.hub.attach(topic) : Promise.reject(new Error('away'));
  };
  const connections = createConnections({ clock: systemClock });
  const stopping = new AbortController();
  const errors: unknown[] = [];
  const following = followRevocations(
    { ...feeds, hub: { ...feeds.hub, attach } },
    await presentRevocation(feeds),
    connections,
    stopping.signal,
    (error) => errors.push(error),
  );
  await until('it follows', () => feeds.hub.size().members === 2);
  expect(errors).toEqual([new Error('away'), new Error('away')]);

  const ends: EndReason[] = [];
  const expiresAt = new Date(Date.now() + 3_600_000);
  const user = { id: 'usr_1', roles: ['USER' as const], tokenId: 'one', issuedAt: new Date(), expiresAt };
  connections.open({ ...anonymous, user }, { ended: (reason) => ends.push(reason) });
  await revocations.revokeToken('another', expiresAt);
  await revocations.revokeToken('one', expiresAt);
  await until('it is ended', () => ends.length > 0);
  expect(ends).toEqual(['TOKEN_REVOKED']);
  stopping.abort();
  await following;
});
