import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { until } from './until.ts';

/** A program in a page, and the texts that the page says it prints. */
export interface Example {
  readonly language: 'sh' | 'js';
  readonly text: string;
  readonly prints: readonly string[];
}

interface Fence {
  readonly language: string;
  readonly text: string;
}

function fences(markdown: string): Fence[] {
  return [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = '', text = '']) => ({
    language,
    text: text.trimEnd(),
  }));
}

/**
 * The examples of a page, in order: its `sh` and `js` blocks but for npm's own commands, each with the `json`
 * and `text` blocks that follow it.
 */
export function examplesIn(markdown: string): Example[] {
  const examples: Array<Example & { prints: string[] }> = [];
  for (const { language, text } of fences(markdown)) {
    if (language === 'json' || language === 'text') examples.at(-1)?.prints.push(text);
    else if ((language === 'sh' || language === 'js') && !text.startsWith('npm '))
      examples.push({ language, text, prints: [] });
  }
  return examples;
}

/** The blocks of a page that call a program over the network and are no examples. */
export function unrunBlocks(markdown: string): string[] {
  const run = new Set(examplesIn(markdown).map((example) => example.text));
  return fences(markdown).flatMap(({ text }) =>
    /\b(curl|wscat)\b/.test(text) && !run.has(text) ? [text] : [],
  );
}

/** What a text of a page matches: `…` is anything in its line, or whole lines where it stands alone. */
export function patternOf(text: string): RegExp {
  const escaped = text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(escaped.replace(/^…\n/gm, '[\\s\\S]*?').replaceAll('…', '[^\\n]*?'));
}

/** One example that was run, and what was printed from its start to when it was over and had printed what it should. */
export interface Ran {
  readonly example: Example;
  readonly ended: boolean;
  readonly printed: string;
}

const marker = (index: number) => `-- end of example ${index} --`;

/**
 * Runs examples one after the other in one bash, as somebody would who pastes them into a terminal: the next
 * one begins when one is over and everything that it should print, also from the background, was printed.
 */
export async function runExamples(
  examples: readonly Example[],
  folder: string,
): Promise<{ ran: readonly Ran[]; complaints: string }> {
  const script = join(folder, 'examples.sh');
  await writeFile(script, await scriptOf(examples, folder));
  const bash = spawn('bash', [script], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'], detached: true });
  const go = bash.stdio[3] as Writable;
  // It breaks when the shell is ended.
  go.on('error', () => {});
  let output = '';
  let complaints = '';
  bash.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  bash.stderr?.on('data', (chunk) => {
    complaints += chunk;
  });
  const ran: Ran[] = [];
  try {
    for (const [index, example] of examples.entries()) {
      const from = output.length;
      const printed = () => output.slice(from).replaceAll(/^-- end of example \d+ --\n/gm, '');
      const ended = () => output.includes(marker(index), from);
      const patterns = example.prints.map(patternOf);
      const isDone = () => ended() && patterns.every((pattern) => pattern.test(printed()));
      await until('an example', isDone, 20_000).catch(() => {});
      ran.push({ example, ended: ended(), printed: printed() });
      if (!isDone()) break;
      go.write('\n');
    }
  } finally {
    endGroup(bash);
  }
  return { ran, complaints };
}

async function scriptOf(examples: readonly Example[], folder: string): Promise<string> {
  // What npx would run, without the time that npm needs to find it.
  const lines = ['npx() { local program=$1; shift; "node_modules/.bin/$program" "$@"; }'];
  for (const [index, { language, text }] of examples.entries()) {
    if (language === 'js') {
      const file = join(folder, `example-${index}.mjs`);
      await writeFile(file, text);
      lines.push(`node --input-type=module < '${file}'`);
    } else lines.push(text);
    lines.push(`echo '${marker(index)}'`, 'read -r -u 3');
  }
  return lines.join('\n');
}

/** Ends the shell and what it has left in the background. */
function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
