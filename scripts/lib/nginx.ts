import { ensureProgram, findProgram, type Program } from './programs.ts';

const NGINX: Program = {
  names: ['nginx'],
  variable: 'NGINX_PATH',
  // On the PATH of root alone.
  folders: ['/usr/sbin'],
  package: 'nginx-light',
};

/** The path of an nginx: NGINX_PATH when that is set, else the one on PATH or in /usr/sbin. */
export const findNginx = (env: NodeJS.ProcessEnv): string | undefined => findProgram(NGINX, env);

/** The path of an nginx, which root on Debian gets installed when there is none. */
export const ensureNginx = (): string | undefined => ensureProgram(NGINX);
