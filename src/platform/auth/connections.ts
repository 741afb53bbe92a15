import { setMaxListeners } from 'node:events';
import type { Clock } from '../clock.ts';
import type { Viewer } from './viewer.ts';

/** Why the server ends a connection. */
export type EndReason = 'TOKEN_EXPIRED' | 'TOKEN_REVOKED' | 'REPLACED' | 'SHUTDOWN';

/** One socket or one HTTP request: every operation on it refers to this. */
export interface Connection {
  readonly viewer: Viewer;
  /** Aborted when the connection is over: by the server, or because the peer is gone. */
  readonly signal: AbortSignal;
  end(reason: EndReason): void;
  /** The peer is gone. */
  closed(): void;
}

export type Connections = ReturnType<typeof createConnections>;

/** Longer timers overflow and fire at once; ms. */
const longestTimerMs = 2 ** 31 - 1;

/** The open connections, ended when their token expires or is revoked. */
export function createConnections({ clock }: { readonly clock: Clock }) {
  const open = new Set<Connection>();
  let shutDown = false;

  return {
    /** `onEnd` hears why the server ends the connection, at once if it is not to begin at all. */
    open(viewer: Viewer, onEnd?: (reason: EndReason) => void): Connection {
      const over = new AbortController();
      // Each operation listens to it, and there may be any number.
      setMaxListeners(0, over.signal);
      let timer: NodeJS.Timeout | undefined;
      const connection: Connection = {
        viewer,
        signal: over.signal,
        end(reason) {
          if (!open.has(connection)) return;
          // Before its subscriptions are over: none of them may be told to a client as complete.
          onEnd?.(reason);
          connection.closed();
        },
        closed() {
          open.delete(connection);
          clearTimeout(timer);
          over.abort();
        },
      };
      function expireLater(): void {
        if (!viewer.user) return;
        const left = viewer.user.expiresAt.getTime() - clock.now();
        if (left <= 0) connection.end('TOKEN_EXPIRED');
        else timer = setTimeout(expireLater, Math.min(left, longestTimerMs)).unref();
      }
      open.add(connection);
      if (shutDown) connection.end('SHUTDOWN');
      else expireLater();
      return connection;
    },

    /** Ends every connection whose viewer is chosen; after a SHUTDOWN also those that open later. */
    endWhere(reason: EndReason, chosen: (viewer: Viewer) => boolean): void {
      shutDown ||= reason === 'SHUTDOWN';
      for (const connection of [...open]) if (chosen(connection.viewer)) connection.end(reason);
    },

    get size(): number {
      return open.size;
    },
  };
}
