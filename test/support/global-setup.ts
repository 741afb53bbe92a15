import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDatabaseImage } from '../../scripts/lib/database-image.ts';

/** Runs initdb once, as every test's database begins as a copy, and builds what tests start as processes. */
export default async function setup(): Promise<() => Promise<void>> {
  execFileSync(process.execPath, ['--import', 'tsx', join('scripts', 'build.ts')], { stdio: 'inherit' });
  const image = await mkdtemp(join(tmpdir(), 'satwire-image-'));
  await makeDatabaseImage(image);
  process.env.SATWIRE_TEST_IMAGE = image;
  return () => rm(image, { recursive: true, force: true });
}
