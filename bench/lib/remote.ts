import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** What a process can be asked for: functions of one argument or none. */
type Api<T> = { [K in keyof T]: (argument: never) => unknown };
type Argument<F> = F extends (argument: infer A) => unknown ? (unknown extends A ? undefined : A) : never;
type Answer<F> = F extends (...args: never[]) => infer R ? Awaited<R> : never;

/** A call, its answer, or a number that is told without being asked for. */
type Message =
  | { readonly id: number; readonly call: string; readonly argument: unknown }
  | { readonly id: number; readonly answer?: unknown; readonly error?: string }
  | { readonly tell: number };

/** A process on a core of its own, which answers calls. */
export interface Remote<T> {
  readonly pid: number;
  /** By itself or stopped. */
  readonly hasEnded: boolean;
  /** Throws what the function threw, or when the process ends before it answers. */
  call<K extends keyof T & string>(name: K, argument: Argument<T[K]>): Promise<Answer<T[K]>>;
  /** Tells it a number, as `answerCalls` hears it. */
  tell(value: number): void;
  /** Hears the numbers that it tells. */
  onTold(hear: (value: number) => void): void;
  /** SIGTERM, SIGKILL when that is not enough within 15 s; resolves when it has ended. */
  stop(): Promise<void>;
}

const stopWithinMs = 15_000;

/** Starts `node` with these arguments, pinned to a core. */
export function startPinned<T extends Api<T>>(
  core: number,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Remote<T> {
  const child = spawn('taskset', ['-c', String(core), process.execPath, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  let calls = 0;
  let hear = (_value: number) => {};
  child.on('message', (message: Message) => {
    if ('tell' in message) hear(message.tell);
    else if (!('call' in message)) {
      const caller = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.error === undefined) caller?.resolve(message.answer as never);
      else caller?.reject(new Error(message.error));
    }
  });
  child.on('exit', (code, signal) => {
    for (const { reject } of waiting.values())
      reject(new Error(`${args.at(-1)} ended with ${code ?? signal}`));
    waiting.clear();
  });
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;

  return {
    pid: child.pid as number,
    get hasEnded() {
      return hasEnded();
    },
    call(name, argument) {
      calls += 1;
      const id = calls;
      return new Promise((resolve, reject) => {
        if (hasEnded()) {
          reject(new Error(`${args.at(-1)} has ended`));
          return;
        }
        waiting.set(id, { resolve, reject });
        child.send({ id, call: name, argument } satisfies Message);
      });
    },
    tell: (value) => void (child.connected && child.send({ tell: value } satisfies Message)),
    onTold(hears) {
      hear = hears;
    },
    async stop() {
      if (hasEnded()) return;
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      const killing = setTimeout(() => child.kill('SIGKILL'), stopWithinMs);
      await exit;
      clearTimeout(killing);
    },
  };
}

/** In the process that is asked: answers calls until the one that asks is gone. Answers how to tell it a number. */
export function answerCalls<T extends Api<T>>(
  functions: T,
  hear: (value: number) => void = () => {},
): (value: number) => void {
  const send = (message: Message) => process.send?.(message);
  process.on('message', async (message: Message) => {
    if ('tell' in message) hear(message.tell);
    else if ('call' in message) {
      const { id, call, argument } = message;
      try {
        const answer = await functions[call as keyof T](argument as never);
        send({ id, answer });
      } catch (error) {
        send({ id, error: String((error as Error).stack) });
      }
    }
  });
  process.on('disconnect', () => process.exit());
  return (value) => send({ tell: value });
}
