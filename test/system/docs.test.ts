import { execFile } from 'node:child_process';
import { access, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { runStatement } from '../../scripts/lib/postgres-server.ts';
import { startTestApp, temporaryFolder } from '../support/app.ts';
import { examplesIn, patternOf, runExamples, unrunBlocks } from '../support/documents.ts';
import { createJob, openSession, watchJob } from '../support/operations.ts';
import { createTestDatabase } from '../support/postgres.ts';

it.each(['README.md', 'docs/protocol.md'])(
  'runs every example of %s, which prints what the page says',
  async (page) => {
    const app = await startTestApp();
    const markdown = (await readFile(page, 'utf8')).replaceAll('127.0.0.1:4000', new URL(app.url).host);
    const examples = examplesIn(markdown);
    expect(examples.length).toBeGreaterThan(5);
    expect(unrunBlocks(markdown)).toEqual([]);

    const { ran, complaints } = await runExamples(examples, await temporaryFolder());

    for (const { example, ended, printed } of ran) {
      expect({ ended, example: example.text }).toEqual({ ended: true, example: example.text });
      for (const text of example.prints) expect(printed).toMatch(patternOf(text));
      // A stream in the background may send a comment at any time.
      if (example.prints.length === 0) expect(printed.replaceAll(/^:?\n/gm, '')).toBe('');
    }
    expect(ran).toHaveLength(examples.length);
    expect(complaints).not.toMatch(/not found|Error|curl:/);
  },
);

/** Gives the database of a stopped server a new epoch, by what docs/operations.md says. */
const givingNewEpoch: Readonly<Record<string, (folder: string, url: string) => Promise<unknown>>> = {
  async embedded(folder) {
    const [command] = examplesIn(await readFile('docs/operations.md', 'utf8'));
    await promisify(execFile)('bash', ['-c', command?.text.replace('.data/', `${folder}/`) ?? 'false']);
  },
  async Postgres(_folder, url) {
    const [, statements] = /```sql\n(.*?)```/s.exec(await readFile('docs/operations.md', 'utf8')) ?? [];
    await runStatement(url, statements as string);
  },
};

it.each(Object.keys(givingNewEpoch))('gives a restored database (%s) a new epoch', async (database) => {
  const { url, drop } = await createTestDatabase();
  onTestFinished(drop);
  const env = {
    DATA_DIR: await temporaryFolder(),
    ...(database === 'Postgres' && { DATABASE_URL: url }),
  };
  const app = await startTestApp(env);
  const { job, as } = await createJob(app, 'Count to three.');
  const { session, as: asOwner } = await openSession(app, 100);
  const before = app.watch(watchJob, { id: job.id }, as);
  await before.count(1);
  await app.pay(job.evalInvoice.paymentHash);
  const { cursor } = await before.event('JobEvaluated');
  await app.stop();

  await givingNewEpoch[database]?.(app.dataDir, url);

  const restored = await startTestApp(env);
  const after = restored.watch(watchJob, { id: job.id, after: cursor }, as);
  await after.count(1);
  expect(after.events[0]).toMatchObject({ __typename: 'JobSnapshot', reason: 'GAP' });
  // A feed without an event yet has its epoch from the database.
  const debited = 'subscription ($id: ID!, $after: Cursor) { sessionDebited(id: $id, after: $after) { id } }';
  const refused = restored.watch(debited, { id: session.id, after: session.cursor }, asOwner);
  await expect.poll(() => refused.errors).toMatchObject([{ extensions: { code: 'CURSOR_EXPIRED' } }]);
  await restored.stop();
});

it('links to files that are there', async () => {
  const documents = (await readdir('docs', { recursive: true })).map((file) => join('docs', file));
  const pages = ['README.md', 'CHANGELOG.md', ...documents].filter((file) => file.endsWith('.md'));
  for (const page of pages) {
    const links = [...(await readFile(page, 'utf8')).matchAll(/\]\((?!https?:)([^)#]+)/g)];
    for (const [, link = ''] of links) await expect(access(join(dirname(page), link))).resolves.not.toThrow();
  }
});
