import { readFile } from 'node:fs/promises';
import { setImmediate as othersTurn } from 'node:timers/promises';
import { JSONParser } from '@streamparser/json';
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
/** A whole block takes longer. */
const listWithinMs = 60_000;
/** So many calls go out in one request. */
const batch = 500;
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

  async function send(body: unknown, withinMs: number): Promise<Response> {
    return fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: await authorization() },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(withinMs),
    });
  }

  async function post(body: unknown): Promise<unknown> {
    const response = await send(body, answerWithinMs);
    // An error of a call has the status 404 or 500, with a body that says more.
    const answer = readJson(await readBounded(response, longestAnswer));
    if (answer === undefined) throw new ChainUnavailableError(`Bitcoin Core answered ${response.status}.`);
    return answer;
  }

  /** Posts calls; what fails on the way is that Core does not answer. */
  const ask = (body: unknown): Promise<unknown> => post(body).catch(refuse);

  function refuse(error: unknown): never {
    if (error instanceof ChainUnavailableError || error instanceof RpcError) throw error;
    throw new ChainUnavailableError('Bitcoin Core does not answer.', { cause: error });
  }

  function read<Result>(method: string, answer: unknown, shape: z.ZodType<Result>): Result {
    const parsed = reply.safeParse(answer);
    const error = parsed.data?.error;
    if (error?.code === warmingUp)
      throw new ChainUnavailableError(`Bitcoin Core is starting: ${error.message}`);
    if (error) throw new RpcError(error.code, error.message);
    const result = shape.safeParse(parsed.data?.result);
    if (result.success) return result.data;
    throw new ChainUnavailableError(`What Bitcoin Core answers to ${method} cannot be read.`, {
      cause: parsed.error ?? result.error,
    });
  }

  const request = (method: string, params: readonly unknown[], id: string | number = method) => ({
    ...{ jsonrpc: '1.0', id, method, params },
  });

  async function callSome<Result>(
    method: string,
    each: ReadonlyArray<readonly unknown[]>,
    shape: z.ZodType<Result>,
  ): Promise<Array<Result | undefined>> {
    const answers = await ask(each.map((params, id) => request(method, params, id)));
    if (!Array.isArray(answers)) return [read(method, answers, shape)];
    const byId = new Map(answers.map((answer: { readonly id?: unknown }) => [answer.id, answer]));
    return each.map((_, id) => {
      try {
        return read(method, byId.get(id), shape);
      } catch (error) {
        if (error instanceof RpcError) return undefined;
        throw error;
      }
    });
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
      return read(method, await ask(request(method, params)), shape);
    },

    /**
     * Calls a method once for each of many parameters, many in one request.
     * @returns what each answers, in order; undefined where a call failed.
     * @throws ChainUnavailableError
     */
    async callMany<Result>(
      method: string,
      each: ReadonlyArray<readonly unknown[]>,
      shape: z.ZodType<Result>,
    ): Promise<Array<Result | undefined>> {
      const results: Array<Result | undefined> = [];
      for (let start = 0; start < each.length; start += batch)
        results.push(...(await callSome(method, each.slice(start, start + batch), shape)));
      return results;
    },

    /**
     * Calls a method whose result has a long list: gives its elements one after another, and keeps none of them.
     * @throws RpcError, or ChainUnavailableError when there is no answer that can be read.
     */
    async *list<Element>(
      method: string,
      params: readonly unknown[],
      name: string,
      shape: z.ZodType<Element>,
    ): AsyncGenerator<Element> {
      const elements: unknown[] = [];
      let failed: unknown = null;
      const parser = new JSONParser({ paths: [`$.result.${name}.*`, '$.error'], keepStack: false });
      parser.onValue = ({ key, value }) => {
        if (key === 'error') failed = value;
        else elements.push(value);
      };
      try {
        const response = await send(request(method, params), listWithinMs);
        for await (const chunk of response.body ?? []) {
          parser.write(chunk);
          for (const element of elements.splice(0))
            yield read(method, { result: element, error: null }, shape);
          await othersTurn();
        }
        if (!parser.isEnded) throw new Error('The answer is cut off.');
        read(method, { result: null, error: failed }, z.unknown());
      } catch (error) {
        refuse(error);
      }
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
