import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A copy of the build, which stays as it is whatever is built meanwhile. */
export interface BuildCopy {
  readonly path: string;
  remove(): Promise<void>;
}

/** Copies what `npm run build` has made to beside the packages, where it finds them and nothing else looks at it. */
export async function copyBuild(): Promise<BuildCopy> {
  const cache = join(root, 'node_modules', '.cache');
  await mkdir(cache, { recursive: true });
  const path = await mkdtemp(join(cache, 'satwire-faults-'));
  await cp(join(root, 'dist', 'src'), join(path, 'src'), { recursive: true });
  await writeFile(join(path, 'package.json'), '{ "type": "module" }\n');
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
