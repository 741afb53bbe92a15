import type { Clock } from '../../platform/clock.ts';
import type { Database } from '../../platform/database/database.ts';
import { LightningUnavailableError } from './backend.ts';
import { readBolt11 } from './bolt11-read.ts';
import type { LightningPayer } from './payer.ts';

/** What each payment costs; msats. */
const feeMsats = 1_000n;

/** Pays what nobody receives, out of what the stub's invoices took. It answers as a wallet does that has paid at once. */
export function createStubPayer({
  db,
  clock,
}: {
  readonly db: Database;
  readonly clock: Clock;
}): LightningPayer {
  async function balanceMsats(): Promise<bigint> {
    const [row] = await db.query<{ balance: string }>(
      `SELECT ((SELECT coalesce(sum(received_sats), 0) * 1000 FROM stub_invoices)
             - (SELECT coalesce(sum(amount_msats + fee_msats), 0) FROM stub_payments))::text AS balance`,
    );
    return BigInt(row?.balance ?? 0);
  }

  return {
    network: async () => 'bcrt',
    balanceMsats,
    close: () => {},

    async pay(bolt11) {
      const invoice = readBolt11(bolt11);
      if (invoice?.amountMsats === undefined)
        throw new LightningUnavailableError('The stub cannot read the invoice.');
      await db.query(
        `INSERT INTO stub_payments (payment_hash, amount_msats, fee_msats, paid_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING`,
        [invoice.paymentHash, invoice.amountMsats, feeMsats, new Date(clock.now())],
      );
    },

    async lookUpPayment(paymentHash) {
      const [payment] = await db.query<{ feeMsats: bigint; paidAt: Date }>(
        'SELECT fee_msats AS "feeMsats", paid_at AS "paidAt" FROM stub_payments WHERE payment_hash = $1',
        [paymentHash],
      );
      return payment ? { state: 'PAID', ...payment } : { state: 'UNKNOWN' };
    },
  };
}
