import { hkdfSync, randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database } from '../database/database.ts';

const SECRET_BYTES = 32;

const ignoring = (code: string) => (error: NodeJS.ErrnoException) => {
  if (error.code !== code) throw error;
};

// The file gets its name only when it is whole and on disk, so a process that is killed halfway leaves
// none behind; link never replaces, so of several processes that start at once all use the first one's.
async function makeSecret(path: string): Promise<void> {
  const temporary = `${path}.${randomBytes(8).toString('hex')}`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(randomBytes(SECRET_BYTES));
    await file.sync();
    await link(temporary, path).catch(ignoring('EEXIST'));
  } finally {
    await file.close();
    await unlink(temporary);
  }
}

/** The 32 random bytes kept in `<dataDir>/secret`, made at the first call; throws when the file is damaged. */
export async function loadSecret(dataDir: string): Promise<Uint8Array> {
  const path = join(dataDir, 'secret');
  let secret = await readFile(path).catch(ignoring('ENOENT'));
  if (!secret) {
    await mkdir(dataDir, { recursive: true });
    await makeSecret(path);
    secret = await readFile(path);
  }
  if (secret.length !== SECRET_BYTES) {
    throw new Error(`${path} is damaged: it has ${secret.length} bytes instead of ${SECRET_BYTES}`);
  }
  return new Uint8Array(secret);
}

/** The 32 random bytes that all nodes of a database share, made at the first call. */
export async function loadSharedSecret(db: Database): Promise<Uint8Array> {
  await db.query('INSERT INTO generated_secret (secret) VALUES ($1) ON CONFLICT DO NOTHING', [
    randomBytes(SECRET_BYTES).toString('hex'),
  ]);
  const [row] = await db.query<{ secret: string }>('SELECT secret FROM generated_secret');
  return new Uint8Array(Buffer.from(row?.secret as string, 'hex'));
}

/** A key of 32 bytes for one purpose, named by the label: HKDF-SHA256 (RFC 5869) without salt. */
export function deriveSecret(secret: Uint8Array, label: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(), label, SECRET_BYTES));
}
