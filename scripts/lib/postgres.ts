import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ensureProgram, findProgram, type Program } from './programs.ts';

/** Where Debian puts the programs of each version. */
const versions = '/usr/lib/postgresql';

function program(): Program {
  return { names: ['initdb'], variable: 'INITDB_PATH', folders: folders(), package: 'postgresql' };
}

/** The newest version first. */
function folders(): string[] {
  try {
    const found = readdirSync(versions).sort((a, b) => Number(b) - Number(a));
    return found.map((version) => join(versions, version, 'bin'));
  } catch {
    return [];
  }
}

/** The folder of Postgres' programs: where INITDB_PATH is, else the first one on PATH or of Debian. */
export function findPostgres(env: NodeJS.ProcessEnv): string | undefined {
  const initdb = findProgram(program(), env);
  return initdb && dirname(initdb);
}

/** The path of initdb, which root on Debian gets installed, with all of Postgres, when there is none. */
export function ensureInitdb(): string | undefined {
  // Once more, as the folder of its version is not there before it is installed.
  return ensureProgram(program()) ?? findProgram(program(), process.env);
}
