import type { IncomingMessage, ServerResponse } from 'node:http';
import { answer, type Routes } from '../http.ts';
import { targetOf } from '../request.ts';
import type { createAssets } from './assets.ts';
import type { Answer, Explorer } from './explorer.ts';
import type { PageWebSocket } from './page.ts';

interface Dependencies {
  readonly explorer: Explorer;
  readonly assets: ReturnType<typeof createAssets>;
  readonly webSocket: () => PageWebSocket | undefined;
}

/** How long a browser keeps the script and the style; seconds. */
const assetSeconds = 300;

/** The pages of the explorer. They load nothing from elsewhere, and run nothing but their own script. */
export function explorerRoutes({ explorer, assets, webSocket }: Dependencies): Routes {
  /** Where a page may connect to: this server, and its WebSocket, which older browsers do not take for the same. */
  function contentSecurityPolicy({ host, hostname }: URL): string {
    const port = webSocket()?.port;
    const socketHost = port === undefined ? host : `${hostname}:${port}`;
    return [
      "default-src 'none'",
      "style-src 'self'",
      "script-src 'self'",
      'img-src data:',
      `connect-src 'self' ws://${socketHost} wss://${socketHost}`,
      "form-action 'self'",
      "base-uri 'none'",
      "frame-ancestors 'none'",
    ].join('; ');
  }

  function send(response: ServerResponse, target: URL, shown: Answer): void {
    if ('redirect' in shown) {
      response.writeHead(303, { location: shown.redirect, 'cache-control': 'no-store' }).end();
      return;
    }
    response.writeHead(shown.status, {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': contentSecurityPolicy(target),
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      ...(shown.status === 503 && { 'retry-after': '5' }),
    });
    response.end(shown.page);
  }

  async function show(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const target = targetOf(request) as URL;
    send(response, target, await explorer.page(path, target.searchParams));
  }

  return {
    'GET /explorer': (request, response) => show(request, response, ''),

    'GET /explorer/assets/*': async (_request, response, name) => {
      const asset = await assets(name);
      if (!asset) {
        answer(response, 404, { error: 'Not found.' });
        return;
      }
      response.writeHead(200, {
        'content-type': asset.type,
        'cache-control': `public, max-age=${assetSeconds}`,
        'x-content-type-options': 'nosniff',
      });
      response.end(asset.body);
    },

    'GET /explorer/*': show,
  };
}
