import type { Clock } from '../../platform/clock.ts';
import type { LightningBackend } from './backend.ts';
import { createLnbitsExchange, isSuccess, refused } from './lnbits-exchange.ts';
import { readCreated, readLookUp, saysUnknownPayment } from './lnbits-payment.ts';
import { type LnbitsPush, openLnbitsPush } from './lnbits-push.ts';

/** A wallet of an LNbits server. */
export interface Lnbits extends LightningBackend {
  /** Whether the last request had an answer that makes sense; true before the first. */
  readonly reachable: boolean;
}

interface Dependencies {
  /** Where LNbits is; with a path when it is not at the root of its host. */
  readonly url: URL;
  /** The wallet's key that reads and makes invoices, and cannot pay. */
  readonly invoiceKey: string;
  readonly clock: Clock;
  /** Hears when payments are no longer pushed: once, until they are again. */
  readonly onError: (error: unknown) => void;
  /** How long an answer may take, to its last byte. */
  readonly timeoutMs?: number;
}

/** As much as fits the description of a BOLT11 invoice; LNbits takes 640 characters. */
const maximumMemoBytes = 639;
const pingMs = 10_000;

/**
 * Receives through LNbits, versions 0.12 to 1.5. What it says is believed only when asked, with the key: anyone
 * can send messages through its WebSocket.
 */
export function createLnbits(dependencies: Dependencies): Lnbits {
  const { url, invoiceKey, clock, onError, timeoutMs = 5_000 } = dependencies;
  const exchange = createLnbitsExchange({ url, timeoutMs });
  const listeners: Array<(paymentHash: string) => void> = [];
  let push: LnbitsPush | undefined;
  let reachable = true;

  async function ask<Answer>(asked: () => Promise<Answer>): Promise<Answer> {
    try {
      const answer = await asked();
      reachable = true;
      return answer;
    } catch (error) {
      reachable = false;
      throw error;
    }
  }

  return {
    get reachable() {
      return reachable;
    },

    createInvoice: ({ amountSats, memo, expirySeconds, webhookUrl }) =>
      ask(async () => {
        const [status, text] = await exchange.ask(invoiceKey, 'payments', {
          out: false,
          amount: Number(amountSats),
          unit: 'sat',
          memo: cutMemo(memo),
          expiry: expirySeconds,
          ...(webhookUrl !== undefined && { webhook: webhookUrl }),
        });
        if (!isSuccess(status)) throw refused(status);
        return readCreated(text, amountSats);
      }),

    lookUp: (paymentHash) =>
      ask(async () => {
        const [status, text] = await exchange.ask(invoiceKey, `payments/${encodeURIComponent(paymentHash)}`);
        if (status === 404 && saysUnknownPayment(text)) return { paid: false, isKnown: false };
        if (!isSuccess(status)) throw refused(status);
        return readLookUp(text, paymentHash, clock.now());
      }),

    onHint(hear) {
      listeners.push(hear);
      push ??= openLnbitsPush({
        address: `${exchange.base.replace(/^http/, 'ws')}/ws/${encodeURIComponent(invoiceKey)}`,
        pingMs,
        hear: (paymentHash) => {
          for (const each of listeners) each(paymentHash);
        },
        onError,
      });
    },

    async close() {
      exchange.close();
      await push?.close();
    },
  };
}

/** Cuts to the bound between two characters. */
function cutMemo(memo: string): string {
  const bytes = Buffer.from(memo);
  let end = Math.min(bytes.length, maximumMemoBytes);
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
