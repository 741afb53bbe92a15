import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';

/** A process that is killed, stopped and started again, as often as wanted. */
export interface FaultProcess {
  /** Whether it runs and has said that it is ready. */
  readonly ready: boolean;
  /** What it has printed since it was first started. */
  readonly output: string;
  /** Starts it, again and again until it is ready: what it needs may be away. */
  start(): Promise<void>;
  /** Ends it as `kill -9` does. */
  kill(): Promise<void>;
  /** Tells it to end by itself. */
  drain(): Promise<void>;
  /** Lets it run no more, with its connections open; `resume` lets it go on. */
  stop(): void;
  resume(): void;
  send(message: object): void;
}

interface Description {
  readonly script: string;
  /** Its environment, asked for at each start. */
  readonly env: () => Record<string, string>;
  readonly hear: (message: unknown) => void;
}

const root = new URL('../..', import.meta.url);
const retryMs = 200;

/** Describes a process that runs a script of ours; it is not started yet. It says `ready` when it is. */
export function faultProcess({ script, env, hear }: Description): FaultProcess {
  let running: ChildProcess | undefined;
  let ready = false;
  let output = '';

  async function end(signal: NodeJS.Signals): Promise<void> {
    const child = running;
    running = undefined;
    ready = false;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }

  /** Whether it has got ready; else it has ended. */
  async function launch(): Promise<boolean> {
    const child = spawn(process.execPath, ['--import', 'tsx', script], {
      cwd: root,
      env: { PATH: process.env.PATH, ...env() },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    running = child;
    // Also one that is stopped, which would not see that we are gone.
    const killAtExit = () => void child.kill('SIGKILL');
    process.once('exit', killAtExit);
    child.once('exit', () => process.off('exit', killAtExit));
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    return new Promise((resolve) => {
      child.once('exit', () => resolve(false));
      child.on('error', () => {});
      child.on('message', (message) => {
        if (message === 'ready') resolve(true);
        else hear(message);
      });
    });
  }

  return {
    get ready() {
      return ready;
    },
    get output() {
      return output;
    },
    async start() {
      while (!(await launch())) await pause(retryMs);
      ready = true;
    },
    kill: () => end('SIGKILL'),
    drain: () => end('SIGTERM'),
    stop: () => void running?.kill('SIGSTOP'),
    resume: () => void running?.kill('SIGCONT'),
    send(message) {
      if (running?.connected) running.send(message, () => {});
    },
  };
}
