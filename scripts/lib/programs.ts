import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { succeeds } from './steps.ts';

/** A program that is not of this repository. */
export interface Program {
  /** What it may be called, the best first. */
  names: readonly string[];
  /** The environment variable that says where it is. */
  variable: string;
  /** Where it may be besides on PATH. */
  folders?: readonly string[];
  /** The Debian package that it comes with. */
  package: string;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The path of a program: what its variable says when that is set, else the first one on PATH or in its folders. */
export function findProgram(
  { names, variable, folders = [] }: Program,
  env: NodeJS.ProcessEnv,
): string | undefined {
  const named = env[variable];
  if (named) return isProgram(named) ? named : undefined;
  const places = [...(env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''), ...folders];
  return names.flatMap((name) => places.map((folder) => join(folder, name))).find(isProgram);
}

function canInstall(): boolean {
  try {
    return process.getuid?.() === 0 && /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
}

/** The path of a program, which root on Debian gets installed when there is none. */
export function ensureProgram(program: Program): string | undefined {
  const found = findProgram(program, process.env);
  if (found !== undefined || process.env[program.variable] || !canInstall()) return found;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  succeeds(['apt-get', 'update'], env);
  succeeds(['apt-get', 'install', '-y', program.package], env);
  return findProgram(program, process.env);
}
