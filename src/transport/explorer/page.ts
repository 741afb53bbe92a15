import { type Html, html } from './html.ts';

/** Where pages subscribe: over a WebSocket on this path, and port unless it is that of the page. */
export interface PageWebSocket {
  readonly path: string;
  readonly port: number | undefined;
}

interface Page {
  readonly title: string;
  readonly body: Html;
  /** Which subscriptions keep it live. */
  readonly live?: readonly ('tip' | 'mempool')[];
}

/** A whole page; complete without its script. */
export function page({ title, body, live = [] }: Page, webSocket: PageWebSocket | undefined): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · Satwire</title>
<link rel="stylesheet" href="/explorer/assets/explorer.css">
<link rel="icon" href="data:,">
${live.length > 0 ? html`<script type="module" src="/explorer/assets/web/live.js"></script>` : ''}
</head>
<body data-live="${live.join(' ')}" data-websocket="${webSocket?.path ?? ''}" data-websocket-port="${webSocket?.port ?? ''}">
<header>
<nav aria-label="Explorer"><a href="/explorer">Chain</a> <a href="/explorer/mempool">Mempool</a></nav>
<form action="/explorer/search" method="get" role="search">
<label>Block or transaction <input name="q" autocomplete="off" spellcheck="false" required></label>
<button>Find</button>
</form>
<p id="connection" role="status" hidden></p>
</header>
<main>
${body}
</main>
</body>
</html>
`.text;
}

/** A part of a page, by whose id it is found again when it has changed. */
export const section = (id: string, content: Html): Html => html`<section id="${id}">${content}</section>`;
