import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDatabaseImage } from '../../scripts/lib/database-image.ts';

/** Runs initdb once: every test's database begins as a copy. */
export default async function setup(): Promise<() => Promise<void>> {
  const image = await mkdtemp(join(tmpdir(), 'satwire-image-'));
  await makeDatabaseImage(image);
  process.env.SATWIRE_TEST_IMAGE = image;
  return () => rm(image, { recursive: true, force: true });
}
