import { expect } from 'vitest';
import type { TestApp } from './app.ts';
import type { Json } from './clients.ts';
import { appendEvent } from './faults.ts';
import { createJob, watchJob } from './operations.ts';
import { openSocket, type RawSocket } from './raw-socket.ts';

/** The introduction of whoever has this token. */
export const bearer = (token: string) => ({ params: { authorization: `Bearer ${token}` } });

/** A socket that watches a job of its own. */
export async function watchingSocket(
  app: TestApp,
  subject = 'alice',
  expiresInSeconds = 3600,
): Promise<{ socket: RawSocket; job: Json; token: string }> {
  const token = await app.token(subject, ['USER'], expiresInSeconds);
  const { job } = await createJob(app, 'Be watched.', { token });
  const socket = await openSocket(app.webSocketUrl, bearer(token));
  socket.subscribe('watch', watchJob, { id: job.id });
  await socket.count('watch', 1);
  return { socket, job, token };
}

/** Shows that a socket and its subscription live, by an event. */
export async function expectAlive(app: TestApp, socket: RawSocket, job: Json): Promise<void> {
  const before = socket.of('watch').length;
  await appendEvent(app, `job:${job.id}`, 'JobRejected', { jobId: job.id, reason: 'No.' });
  const messages = await socket.count('watch', before + 1);
  expect(messages.at(-1)).toMatchObject({
    type: 'next',
    payload: { data: { jobUpdated: { __typename: 'JobRejected', why: 'No.' } } },
  });
}
