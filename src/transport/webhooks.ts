import type { Invoices } from '../money/invoices.ts';
import { answer, type Routes } from './http.ts';

/** Larger bodies are cut off; bytes. */
const maximumBodyBytes = 65_536;

/**
 * What other systems post. LNbits signs nothing and may post anything: the token in the path alone tells which
 * invoice it is about, and that only as a hint.
 */
export function webhookRoutes({ invoices }: { readonly invoices: Invoices }): Routes {
  return {
    'POST /webhooks/lnbits/*': async (request, response, token) => {
      let bytes = 0;
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > maximumBodyBytes) request.destroy();
      });
      const isKnown = await invoices.hearWebhook(token);
      answer(response, isKnown ? 200 : 404, isKnown ? { status: 'heard' } : { error: 'Not found.' });
    },
  };
}
