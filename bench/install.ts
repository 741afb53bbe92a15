import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Installs what the peers are made of, once: nothing else here needs it. */
const folder = import.meta.dirname;

if (!existsSync(join(folder, 'node_modules', '.package-lock.json'))) {
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder, stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
