import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { readBounded } from '../../platform/http-client.ts';
import { ChainUnavailableError } from '../source.ts';

/** How Bitcoin Core is reached. */
export interface RpcOptions {
  /** With `user:password@`, unless there is a cookie. */
  readonly url: URL;
  /** The file in which Core writes the password of its run. */
  readonly cookieFile?: string | undefined;
}

/** What Core answers that does not fit the question: the code is its own. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

const answerWithinMs = 10_000;
const longestAnswer = 64 * 1_048_576;
/** Core is loading its blocks, and answers nothing else yet. */
const warmingUp = -28;

const reply = z.object({
  result: z.unknown(),
  error: z.object({ code: z.number(), message: z.string() }).nullish(),
});

/** Asks Bitcoin Core by JSON-RPC. */
export function createRpc({ url, cookieFile }: RpcOptions) {
  const endpoint = new URL(url);
  endpoint.username = '';
  endpoint.password = '';
  const own = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;

  /** Read each time: a node that starts writes another one. */
  async function authorization(): Promise<string> {
    const credentials = cookieFile === undefined ? own : (await readFile(cookieFile, 'utf8')).trim();
    return `Basic ${Buffer.from(credentials).toString('base64')}`;
  }

  async function send(method: string, params: readonly unknown[]): Promise<unknown> {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: await authorization() },
      body: JSON.stringify({ jsonrpc: '1.0', id: method, method, params }),
      signal: AbortSignal.timeout(answerWithinMs),
    });
    // An error of the call has the status 404 or 500, with a body that says more.
    const text = await readBounded(response, longestAnswer);
    const parsed = reply.safeParse(readJson(text));
    if (!parsed.success) throw new ChainUnavailableError(`Bitcoin Core answered ${response.status}.`);
    const { result, error } = parsed.data;
    if (error?.code === warmingUp)
      throw new ChainUnavailableError(`Bitcoin Core is starting: ${error.message}`);
    if (error) throw new RpcError(error.code, error.message);
    return result;
  }

  return {
    /**
     * Calls a method.
     * @throws RpcError, or ChainUnavailableError when there is no answer that can be read.
     */
    async call<Result>(
      method: string,
      params: readonly unknown[],
      shape: z.ZodType<Result>,
    ): Promise<Result> {
      let result: unknown;
      try {
        result = await send(method, params);
      } catch (error) {
        if (error instanceof ChainUnavailableError || error instanceof RpcError) throw error;
        throw new ChainUnavailableError('Bitcoin Core does not answer.', { cause: error });
      }
      const parsed = shape.safeParse(result);
      if (parsed.success) return parsed.data;
      throw new ChainUnavailableError(`What Bitcoin Core answers to ${method} cannot be read.`, {
        cause: parsed.error,
      });
    },
  };
}

function readJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
