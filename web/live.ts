import type { MempoolData, TipData } from '../src/transport/explorer/data.ts';
import { documents } from '../src/transport/explorer/documents.ts';
import type { Html } from '../src/transport/explorer/html.ts';
import { mempoolSection, recentSection, tipSection } from '../src/transport/explorer/sections.ts';
import { keepLive, type State } from './transport.ts';

/** What each subscription tells changes these parts of the page, where it has them. */
const parts: Readonly<Record<string, (data: never) => Readonly<Record<string, Html>>>> = {
  tipUpdated: ({ tip }: { tip: TipData }) => ({ tip: tipSection(tip) }),
  mempoolUpdated: ({ mempool }: { mempool: MempoolData }) => ({
    mempool: mempoolSection(mempool),
    recent: recentSection(mempool),
  }),
};

const subscriptions = { tip: documents.tipUpdated, mempool: documents.mempoolUpdated } as const;

function show(data: Readonly<Record<string, unknown>>): void {
  for (const [field, told] of Object.entries(data))
    for (const [id, content] of Object.entries(parts[field]?.(told as never) ?? {})) {
      const element = document.getElementById(id);
      // Escaped where it was made.
      if (element) element.innerHTML = content.text;
    }
}

const words: Readonly<Record<State, string>> = {
  live: 'Live',
  connecting: 'Connecting…',
  polling: 'Every 10 seconds',
};

function showState(state: State): void {
  const element = document.getElementById('connection');
  if (!element) return;
  element.hidden = false;
  element.dataset.state = state;
  element.textContent = words[state];
}

/** Shows the page as the server makes it now. */
async function reload(): Promise<void> {
  const response = await fetch(location.href, { headers: { accept: 'text/html' } });
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), 'text/html');
  for (const part of document.querySelectorAll('main > section[id]')) {
    const newer = fresh.getElementById(part.id);
    if (newer) part.replaceWith(newer);
  }
}

/** Absent where there is none: then over SSE. */
function webSocketUrl(): string | undefined {
  const { websocket, websocketPort } = document.body.dataset;
  if (!websocket) return undefined;
  const url = new URL(websocket, location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  if (websocketPort) url.port = websocketPort;
  return url.href;
}

const wanted = (document.body.dataset.live ?? '').split(' ') as (keyof typeof subscriptions)[];
keepLive({
  webSocket: webSocketUrl(),
  documents: wanted.map((name) => subscriptions[name]),
  show,
  showState,
  reload,
});
