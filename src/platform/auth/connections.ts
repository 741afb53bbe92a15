import type { Clock } from '../clock.ts';
import type { Viewer } from './viewer.ts';

/** Why the server ends a connection. */
export type EndReason = 'TOKEN_EXPIRED' | 'TOKEN_REVOKED' | 'REPLACED' | 'SHUTDOWN';

/** One socket or one HTTP request: every operation on it refers to this. */
export interface Connection {
  readonly viewer: Viewer;
  /** Aborted when the server ends the connection, with the EndReason as reason. */
  readonly signal: AbortSignal;
  end(reason: EndReason): void;
  /** The peer is gone: forgets the connection. */
  closed(): void;
}

export type Connections = ReturnType<typeof createConnections>;

/** Longer timers overflow and fire at once; ms. */
const longestTimerMs = 2 ** 31 - 1;

/** The open connections, ended when their token expires or is revoked. */
export function createConnections({ clock }: { readonly clock: Clock }) {
  const open = new Set<Connection>();

  return {
    open(viewer: Viewer): Connection {
      const ending = new AbortController();
      let timer: NodeJS.Timeout | undefined;
      const connection: Connection = {
        viewer,
        signal: ending.signal,
        end(reason) {
          connection.closed();
          ending.abort(reason);
        },
        closed() {
          open.delete(connection);
          clearTimeout(timer);
        },
      };
      function expireLater(): void {
        if (!viewer.user) return;
        const left = viewer.user.expiresAt.getTime() - clock.now();
        if (left <= 0) connection.end('TOKEN_EXPIRED');
        else timer = setTimeout(expireLater, Math.min(left, longestTimerMs)).unref();
      }
      open.add(connection);
      expireLater();
      return connection;
    },

    /** Ends every connection whose viewer is chosen. */
    endWhere(reason: EndReason, chosen: (viewer: Viewer) => boolean): void {
      for (const connection of [...open]) if (chosen(connection.viewer)) connection.end(reason);
    },

    get size(): number {
      return open.size;
    },
  };
}
