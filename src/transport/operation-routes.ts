import type { Database } from '../platform/database/database.ts';
import type { Metrics } from '../platform/telemetry/metrics.ts';
import { answer, type Routes } from './http.ts';
import { hasBearer } from './request.ts';

interface Dependencies {
  readonly db: Database;
  readonly metrics: Metrics;
  readonly metricsToken: string | undefined;
  readonly isDraining: () => boolean;
}

/** What whoever runs the server asks: is it alive, may it be sent traffic, how does it fare. */
export function operationRoutes({ db, metrics, metricsToken, isDraining }: Dependencies): Routes {
  return {
    'GET /health': (_request, response) => answer(response, 200, { status: 'alive' }),

    'GET /ready': async (_request, response) => {
      const database = await db.query('SELECT 1').then(
        () => true,
        () => false,
      );
      const ready = database && !isDraining();
      answer(response, ready ? 200 : 503, {
        status: ready ? 'ready' : isDraining() ? 'draining' : 'the database does not answer',
      });
    },

    'GET /metrics': async (request, response) => {
      if (metricsToken !== undefined && !hasBearer(request, metricsToken)) {
        answer(response, 401, { error: 'This needs the metrics token.' });
        return;
      }
      response.writeHead(200, { 'content-type': metrics.registry.contentType });
      response.end(await metrics.registry.metrics());
    },
  };
}
