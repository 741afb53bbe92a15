import { execFile } from 'node:child_process';
import { access, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { startTestApp, temporaryFolder } from '../support/app.ts';
import { examplesIn, patternOf, runExamples, unrunBlocks } from '../support/documents.ts';
import { createJob, openSession, watchJob } from '../support/operations.ts';

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

it('gives a restored database a new epoch, as docs/operations.md says', async () => {
  const app = await startTestApp();
  const { job, as } = await createJob(app, 'Count to three.');
  const { session, as: asOwner } = await openSession(app, 100);
  const before = app.watch(watchJob, { id: job.id }, as);
  await before.count(1);
  await app.pay(job.evalInvoice.paymentHash);
  const { cursor } = await before.event('JobEvaluated');
  await app.stop();

  const [command] = examplesIn(await readFile('docs/operations.md', 'utf8'));
  await promisify(execFile)('bash', ['-c', command?.text.replace('.data/', `${app.dataDir}/`) ?? 'false']);

  const restored = await startTestApp({ DATA_DIR: app.dataDir });
  const after = restored.watch(watchJob, { id: job.id, after: cursor }, as);
  await after.count(1);
  expect(after.events[0]).toMatchObject({ __typename: 'JobSnapshot', reason: 'GAP' });
  // A feed without an event yet has its epoch from the database.
  const debited = 'subscription ($id: ID!, $after: Cursor) { sessionDebited(id: $id, after: $after) { id } }';
  const refused = restored.watch(debited, { id: session.id, after: session.cursor }, asOwner);
  await expect.poll(() => refused.errors).toMatchObject([{ extensions: { code: 'CURSOR_EXPIRED' } }]);
});

it('links to files that are there', async () => {
  const documents = (await readdir('docs', { recursive: true })).map((file) => join('docs', file));
  const pages = ['README.md', 'CHANGELOG.md', ...documents].filter((file) => file.endsWith('.md'));
  for (const page of pages) {
    const links = [...(await readFile(page, 'utf8')).matchAll(/\]\((?!https?:)([^)#]+)/g)];
    for (const [, link = ''] of links) await expect(access(join(dirname(page), link))).resolves.not.toThrow();
  }
});
