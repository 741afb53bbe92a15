/** How a page is kept as it should be. */
export type State = 'live' | 'connecting' | 'polling';

interface Options {
  readonly webSocket: string | undefined;
  readonly documents: readonly string[];
  readonly show: (data: Readonly<Record<string, unknown>>) => void;
  readonly showState: (state: State) => void;
  /** Makes the page as it is now: what happened while nobody was connected. */
  readonly reload: () => Promise<void>;
}

interface Message {
  readonly type: string;
  readonly payload?: { readonly data?: Readonly<Record<string, unknown>> };
}

/** How long a connection may take, and how long a pause is at most; ms. */
const connectMs = 5_000;
const longestPauseMs = 30_000;
const pollMs = 10_000;

/** So often a transport may fail before it was ever live, until the next is tried. */
const patience = 2;

/**
 * Keeps a page live: over a WebSocket (graphql-transport-ws), else over SSE, else by asking for the page anew. What was
 * live once is connected again after a pause that grows, in which the page is asked for anew.
 */
export function keepLive(options: Options): void {
  const transports = [...(options.webSocket ? [overWebSocket] : []), overSse];
  let which = 0;
  let failures = 0;
  let polling: number | undefined;

  function attempt(): void {
    const transport = transports[which];
    if (!transport) return;
    if (polling === undefined) options.showState('connecting');
    let wasLive = false;
    transport(
      options,
      () => {
        wasLive = true;
        failures = 0;
        clearInterval(polling);
        polling = undefined;
        options.showState('live');
        // What happened before it was live.
        options.reload().catch(() => {});
      },
      () => {
        failures += 1;
        if (!wasLive && failures >= patience && which < transports.length - 1) {
          which += 1;
          failures = 0;
        } else if (failures >= patience) poll();
        setTimeout(attempt, pauseMs(failures));
      },
    );
  }

  function poll(): void {
    if (polling !== undefined) return;
    options.showState('polling');
    polling = setInterval(() => options.reload().catch(() => {}), pollMs);
  }

  attempt();
}

const pauseMs = (failures: number) =>
  Math.min(longestPauseMs, 500 * 2 ** Math.min(failures, 6)) * (0.5 + Math.random() / 2);

type Transport = (options: Options, onLive: () => void, onEnd: () => void) => void;

const overWebSocket: Transport = ({ webSocket, documents, show }, onLive, onEnd) => {
  const socket = new WebSocket(webSocket as string, 'graphql-transport-ws');
  const late = setTimeout(() => socket.close(), connectMs);
  const send = (message: object) => socket.send(JSON.stringify(message));
  socket.onopen = () => send({ type: 'connection_init' });
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data as string) as Message;
    if (message.type === 'ping') send({ type: 'pong' });
    if (message.type === 'connection_ack') {
      clearTimeout(late);
      for (const [index, query] of documents.entries())
        send({ type: 'subscribe', id: `${index}`, payload: { query } });
      onLive();
    }
    if (message.type === 'next' && message.payload?.data) show(message.payload.data);
    // Refused, or over: as the connection is then of no use, it is made anew.
    if (message.type === 'error' || message.type === 'complete') socket.close();
  };
  socket.onclose = () => {
    clearTimeout(late);
    onEnd();
  };
};

const overSse: Transport = ({ documents, show }, onLive, onEnd) => {
  const sources = documents.map((query) => new EventSource(`/graphql?${new URLSearchParams({ query })}`));
  let isOver = false;
  function end(): void {
    if (isOver) return;
    isOver = true;
    for (const source of sources) source.close();
    onEnd();
  }
  let open = 0;
  for (const source of sources) {
    source.onopen = () => {
      open += 1;
      if (open === sources.length) onLive();
    };
    source.addEventListener('next', ({ data }) => {
      const { data: told } = JSON.parse(data as string) as { data?: Readonly<Record<string, unknown>> };
      if (told) show(told);
    });
    source.addEventListener('complete', end);
    source.onerror = end;
  }
};
