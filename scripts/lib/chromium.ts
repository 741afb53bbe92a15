import { ensureProgram, findProgram, type Program } from './programs.ts';

const CHROMIUM: Program = {
  names: ['chromium', 'chromium-browser', 'google-chrome'],
  variable: 'CHROMIUM_PATH',
  package: 'chromium',
};

/** The path of a Chromium: CHROMIUM_PATH when that is set, else the first one on PATH. */
export const findChromium = (env: NodeJS.ProcessEnv): string | undefined => findProgram(CHROMIUM, env);

/** The path of a Chromium, which root on Debian gets installed when there is none. */
export const ensureChromium = (): string | undefined => ensureProgram(CHROMIUM);
