import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach } from 'vitest';
import { findNginx } from '../../scripts/lib/nginx.ts';
import { freePort } from '../../scripts/lib/server.ts';
import { until } from './until.ts';

/** A real nginx with the configuration of deploy/, in front of two ports of this machine. */
export interface Nginx {
  /** Where GraphQL is reached through it. */
  readonly url: string;
  readonly webSocketUrl: string;
  /** What `nginx -t` has said. */
  readonly checked: string;
  /** What it has printed since it was started. */
  readonly output: string;
  /** Its access log once that has as many lines, each read as JSON. */
  log(lines: number): Promise<Record<string, unknown>[]>;
}

const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** Starts it; it is stopped, and its folder removed, after the test. */
export async function startNginx(nodes: readonly [number, number]): Promise<Nginx> {
  const program = findNginx(process.env);
  if (program === undefined) throw new Error('no nginx: install it, or set NGINX_PATH');
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'satwire-nginx-'));
  // Where root runs the tests, the workers are somebody else.
  await chmod(folder, 0o755);
  let child: ChildProcess | undefined;
  // The first process takes the workers with it, unless it is killed.
  const terminate = () => void child?.kill('SIGTERM');
  stops.push(async () => {
    if (child && child.exitCode === null && child.signalCode === null) {
      const exit = once(child, 'exit');
      terminate();
      await exit;
    }
    process.off('exit', terminate);
    await rm(folder, { recursive: true, force: true });
  });

  const accessLog = join(folder, 'access.log');
  const configuration = join(folder, 'nginx.conf');
  const text = await readFile(join('deploy', 'nginx.conf'), 'utf8');
  await writeFile(
    configuration,
    replacing(text.replaceAll(' /tmp/', ` ${folder}/`), {
      'server satwire-1:4000': `server 127.0.0.1:${nodes[0]}`,
      'server satwire-2:4000': `server 127.0.0.1:${nodes[1]}`,
      'listen 8080': `listen 127.0.0.1:${port}`,
      '/dev/stdout': accessLog,
    }),
  );
  const { stderr: checked } = await promisify(execFile)(program, ['-t', '-c', configuration]);

  let output = '';
  const started = spawn(program, ['-c', configuration, '-g', 'daemon off;'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child = started;
  process.once('exit', terminate);
  for (const stream of [started.stdout, started.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  await until('nginx to listen', () => {
    if (started.exitCode !== null) throw new Error(`nginx ended:\n${output}`);
    // It answers this itself.
    return fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    );
  });
  const written = async () => (await readFile(accessLog, 'utf8')).split('\n').slice(0, -1);
  await until('that request to be written down', async () => (await written()).length === 1);
  return {
    url: `http://127.0.0.1:${port}/graphql`,
    webSocketUrl: `ws://127.0.0.1:${port}/graphql`,
    checked,
    get output() {
      return output;
    },
    log: (lines) =>
      until(`${lines} lines of the access log`, async () => {
        const others = (await written()).slice(1);
        return others.length >= lines ? others.map((line) => JSON.parse(line)) : undefined;
      }),
  };
}

/** Replaces each text that occurs once; throws when one does not. */
function replacing(text: string, replacements: Readonly<Record<string, string>>): string {
  return Object.entries(replacements).reduce((replaced, [from, to]) => {
    const parts = replaced.split(from);
    if (parts.length !== 2) throw new Error(`"${from}" occurs ${parts.length - 1} times`);
    return parts.join(to);
  }, text);
}
