import { z } from 'zod';
import { byHashes } from '../money/invoice-queries.ts';
import type { Invoices } from '../money/invoices.ts';
import type { StubLightning } from '../money/lightning/stub.ts';
import type { TokenIssuer } from '../platform/auth/tokens.ts';
import type { Database } from '../platform/database/database.ts';
import { answer, type Routes, readJson } from './http.ts';

interface Dependencies {
  readonly db: Database;
  readonly invoices: Invoices;
  readonly lightning: StubLightning;
  /** Absent when tokens are made elsewhere. */
  readonly tokenIssuer: TokenIssuer | undefined;
}

const tokenRequest = z.object({
  sub: z.string().min(1).max(255),
  roles: z.array(z.enum(['USER', 'SERVICE', 'ADMIN'])).default(['USER']),
  expiresInSeconds: z.int().min(1).max(31_536_000).default(86_400),
  name: z.string().min(1).max(64).optional(),
  addresses: z.array(z.string().min(1).max(128)).max(20).optional(),
});

const maximumBodyBytes = 10_000;

/** What makes trying things out easy, in stub mode alone: tokens for anyone, and payments of nothing. */
export function developmentRoutes({ db, invoices, lightning, tokenIssuer }: Dependencies): Routes {
  return {
    ...(tokenIssuer && {
      'POST /dev/token': async (request, response) => {
        const body = tokenRequest.safeParse(await readJson(request, maximumBodyBytes));
        if (!body.success) {
          answer(response, 400, { error: 'Send {"sub": "alice", "roles": ["USER"]}.' });
          return;
        }
        const { sub: subject, ...rest } = body.data;
        answer(response, 200, { token: await tokenIssuer.issue({ subject, ...rest }) });
      },
    }),

    'POST /dev/stub/pay/*': async (_request, response, paymentHash) => {
      const [invoice] = await byHashes(db, [paymentHash]);
      if (!invoice) {
        answer(response, 404, { error: 'There is no such invoice.' });
        return;
      }
      await lightning.pay(paymentHash, invoice.amountSats);
      await invoices.confirm(paymentHash);
      const [paid] = await byHashes(db, [paymentHash]);
      answer(response, 200, { paymentHash, state: paid?.state });
    },
  } satisfies Routes;
}
