import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deriveSecret, loadSecret, loadSharedSecret } from '../../../src/platform/auth/secrets.ts';
import type { Database } from '../../../src/platform/database/database.ts';
import { openPostgres } from '../../../src/platform/database/postgres.ts';
import { createTestDatabase, type TestDatabase } from '../../support/postgres.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'satwire-secret-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('loadSecret', () => {
  it('makes 32 bytes that only the owner may read, in a folder that need not be there', async () => {
    const dataDir = join(folder, 'deep', 'data');
    const secret = await loadSecret(dataDir);
    expect(secret).toHaveLength(32);
    expect(new Set(secret).size).toBeGreaterThan(8);
    expect((await stat(join(dataDir, 'secret'))).mode & 0o777).toBe(0o600);
    expect(await readdir(dataDir)).toEqual(['secret']);
  });

  it('answers the same ever after, and another one elsewhere', async () => {
    const secret = await loadSecret(join(folder, 'one'));
    expect(await loadSecret(join(folder, 'one'))).toEqual(secret);
    expect(await loadSecret(join(folder, 'two'))).not.toEqual(secret);
  });

  it('is one secret for all who make it at the same time', async () => {
    const secrets = await Promise.all(Array.from({ length: 16 }, () => loadSecret(folder)));
    expect(new Set(secrets.map((secret) => Buffer.from(secret).toString('hex'))).size).toBe(1);
    expect(await readdir(folder)).toEqual(['secret']);
  });

  it('is not disturbed by what a killed process left behind', async () => {
    await writeFile(join(folder, 'secret.0011223344556677'), 'half a se');
    const secret = await loadSecret(folder);
    expect(secret).toHaveLength(32);
    expect(await loadSecret(folder)).toEqual(secret);
  });

  it('refuses a damaged file and leaves it as it is', async () => {
    await writeFile(join(folder, 'secret'), 'short');
    await expect(loadSecret(folder)).rejects.toThrow(/secret is damaged: it has 5 bytes instead of 32/);
    expect(await readFile(join(folder, 'secret'), 'utf8')).toBe('short');
  });

  it('passes on what else goes wrong', async () => {
    await mkdir(join(folder, 'secret'));
    await expect(loadSecret(folder)).rejects.toMatchObject({ code: 'EISDIR' });
  });
});

describe('loadSharedSecret', () => {
  let database: TestDatabase;
  let nodes: Database[];

  beforeEach(async () => {
    database = await createTestDatabase();
    nodes = Array.from({ length: 4 }, () =>
      openPostgres({ url: database.url, poolSize: 4, onError: () => {} }),
    );
  });
  afterEach(async () => {
    for (const node of nodes) await node.close();
    await database.drop();
  });

  it('is one secret for all nodes that make it at the same time, and ever after', async () => {
    const secrets = await Promise.all(
      Array.from({ length: 16 }, (_, n) => loadSharedSecret(nodes[n % nodes.length] as Database)),
    );
    const [first] = secrets as [Uint8Array];
    expect(first).toHaveLength(32);
    expect(new Set(first).size).toBeGreaterThan(8);
    for (const secret of secrets) expect(secret).toEqual(first);
    for (const node of nodes) expect(await loadSharedSecret(node)).toEqual(first);
  });

  it('is another one in another database', async () => {
    const other = await createTestDatabase();
    const node = openPostgres({ url: other.url, poolSize: 1, onError: () => {} });
    try {
      expect(await loadSharedSecret(node)).not.toEqual(await loadSharedSecret(nodes[0] as Database));
    } finally {
      await node.close();
      await other.drop();
    }
  });
});

describe('deriveSecret', () => {
  // RFC 5869, test case 3: SHA-256, no salt, no info; the first 32 bytes of its output.
  it('is HKDF-SHA256', () => {
    const derived = deriveSecret(new Uint8Array(22).fill(0x0b), '');
    expect(Buffer.from(derived).toString('hex')).toBe(
      '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d',
    );
  });

  it('gives each label and each secret a key of its own', () => {
    const one = new Uint8Array(32).fill(1);
    const two = new Uint8Array(32).fill(2);
    expect(deriveSecret(one, 'a')).toEqual(deriveSecret(one, 'a'));
    expect(deriveSecret(one, 'a')).not.toEqual(deriveSecret(one, 'b'));
    expect(deriveSecret(one, 'a')).not.toEqual(deriveSecret(two, 'a'));
  });
});
