import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { outdated, writeGenerated } from '../../scripts/lib/generated.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'satwire-generated-'));
});
afterEach(() => rm(root, { recursive: true }));

it('writes files into folders that need not be there', async () => {
  await writeGenerated(root, { 'a.txt': 'one', 'deep/er/b.txt': 'two' });
  expect(await readFile(join(root, 'a.txt'), 'utf8')).toBe('one');
  expect(await readFile(join(root, 'deep/er/b.txt'), 'utf8')).toBe('two');
});

it('names the files that are missing or different, and only them', async () => {
  const files = { 'a.txt': 'one', 'b.txt': 'two', 'c.txt': 'three' };
  await writeGenerated(root, files);
  expect(await outdated(root, files)).toEqual([]);
  await writeFile(join(root, 'b.txt'), 'two and a half');
  await rm(join(root, 'c.txt'));
  expect(await outdated(root, files)).toEqual(['b.txt', 'c.txt']);
  await writeGenerated(root, files);
  expect(await outdated(root, files)).toEqual([]);
});
