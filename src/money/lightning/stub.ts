import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../../platform/clock.ts';
import type { Database } from '../../platform/database/database.ts';
import type { Sats } from '../sats.ts';
import type { LightningBackend } from './backend.ts';
import { encodeBolt11 } from './bolt11.ts';
import type { LightningPayer } from './payer.ts';
import { createStubPayer } from './stub-payer.ts';

/** A Lightning node that is none: its invoices are real BOLT11 strings, paid by saying so. */
export interface StubLightning extends LightningBackend {
  /** Pays an invoice as a wallet would, also late and more than asked; a paid one stays as it is. */
  pay(paymentHash: string, receivedSats: Sats): Promise<void>;
  readonly payer: LightningPayer;
}

// The value of the sats on this network is nothing, and so is that of this key.
const nodeKey = createHash('sha256').update('satwire stub lightning node').digest();

/** What it knows is in the database, as a real node's invoices outlive our process too. */
export function createStubLightning(deps: { readonly db: Database; readonly clock: Clock }): StubLightning {
  const { db, clock } = deps;
  const listeners: Array<(paymentHash: string) => void> = [];

  return {
    reachable: true,
    payer: createStubPayer(deps),

    async createInvoice({ amountSats, memo, expirySeconds }) {
      const paymentHash = createHash('sha256').update(randomBytes(32)).digest();
      const timestamp = Math.floor(clock.now() / 1000);
      const expiresAt = new Date((timestamp + expirySeconds) * 1000);
      const bolt11 = encodeBolt11(
        {
          network: 'regtest',
          amountSats,
          paymentHash,
          paymentSecret: randomBytes(32),
          description: memo,
          timestamp,
          expirySeconds,
          minFinalCltvExpiry: 18,
        },
        nodeKey,
      );
      await db.query('INSERT INTO stub_invoices (payment_hash) VALUES ($1)', [paymentHash.toString('hex')]);
      return { paymentHash: paymentHash.toString('hex'), bolt11, expiresAt };
    },

    async lookUp(paymentHash) {
      const rows = await db.query<{ receivedSats: Sats | null; paidAt: Date | null }>(
        'SELECT received_sats AS "receivedSats", paid_at AS "paidAt" FROM stub_invoices WHERE payment_hash = $1',
        [paymentHash],
      );
      const [invoice] = rows;
      const { receivedSats, paidAt } = invoice ?? {};
      return receivedSats && paidAt
        ? { paid: true, receivedSats, paidAt }
        : { paid: false, isKnown: invoice !== undefined };
    },

    onHint(hear) {
      listeners.push(hear);
    },

    async pay(paymentHash, receivedSats) {
      await db.query(
        `UPDATE stub_invoices SET received_sats = $2, paid_at = $3 WHERE payment_hash = $1 AND paid_at IS NULL`,
        [paymentHash, receivedSats, new Date(clock.now())],
      );
      for (const hear of listeners) hear(paymentHash);
    },

    async close() {
      listeners.length = 0;
    },
  };
}
