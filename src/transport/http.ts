import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Logger } from '../platform/telemetry/logger.ts';
import { targetOf } from './request.ts';

/** Node looks for those that are over every 30 s by itself: as much longer they could last. ms. */
const timeouts = { requestTimeout: 30_000, headersTimeout: 10_000, connectionsCheckingInterval: 1_000 };

/** Answers one request; `rest` is what its path has in the place of the route's `*`. */
export type Route = (request: IncomingMessage, response: ServerResponse, rest: string) => unknown;

/** What is served: `POST /dev/stub/pay/*`; a method of `*` takes any. */
export type Routes = Readonly<Record<string, Route>>;

/** An HTTP server over a table of routes. What a page of another origin posts blindly is refused. */
export function createHttpServer(
  routes: Routes,
  logger: Logger,
  isAllowed: (request: IncomingMessage) => boolean,
): Server {
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'POST' && !isAllowed(request)) {
      const message = 'Pages of this origin may not call this server.';
      answer(response, 403, { errors: [{ message, extensions: { code: 'FORBIDDEN' } }] });
      return;
    }
    const target = targetOf(request);
    const found = target && find(routes, request.method as string, target.pathname);
    if (!found) {
      answer(response, 404, { error: 'Not found.' });
      return;
    }
    await found.route(request, response, found.rest);
  }

  const server = createServer(timeouts, (request, response) => {
    // A server that is closing keeps no connection for another request.
    response.once('close', () => {
      if (!server.listening) setImmediate(() => server.closeIdleConnections());
    });
    serve(request, response).catch((error) => {
      logger.error({ err: error }, 'request failed');
      if (response.headersSent) response.destroy();
      else answer(response, 500, { error: 'Unexpected error.' });
    });
  });
  return server;
}

function find(routes: Routes, method: string, pathname: string) {
  for (const [pattern, route] of Object.entries(routes)) {
    const [routeMethod, routePath] = pattern.split(' ') as [string, string];
    if (routeMethod !== '*' && routeMethod !== method && !(routeMethod === 'GET' && method === 'HEAD'))
      continue;
    if (routePath === pathname) return { route, rest: '' };
    const prefix = routePath.slice(0, -1);
    if (routePath.endsWith('/*') && pathname.startsWith(prefix))
      return { route, rest: pathname.slice(prefix.length) };
  }
  return undefined;
}

/** Answers with JSON. */
export function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
  });
  response.end(JSON.stringify(body));
}

/**
 * Reads a body to its end.
 * @returns undefined when it is too large: then the rest is not read, and the connection is good for one answer.
 */
export function readBody(request: IncomingMessage, maximumBytes: number): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request
      .on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= maximumBytes) {
          chunks.push(chunk);
          return;
        }
        request.pause().removeAllListeners('data');
        resolve(undefined);
      })
      .on('end', () => resolve(Buffer.concat(chunks)))
      .on('error', reject)
      .on('close', () => reject(new Error('The request was cut off.')));
  });
}

/** Says that a body was too large, and ends its connection, as the rest of it is not read. */
export function answerTooLarge(response: ServerResponse): void {
  response.setHeader('connection', 'close');
  answer(response, 413, { error: 'The body is too large.' });
}

/**
 * Reads a small JSON body.
 * @returns undefined when it is too large or no JSON.
 */
export async function readJson(request: IncomingMessage, maximumBytes: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maximumBytes) return undefined;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined;
  }
}
