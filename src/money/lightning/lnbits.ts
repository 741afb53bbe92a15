import type { Clock } from '../../platform/clock.ts';
import { readBounded } from '../../platform/http-client.ts';
import { type LightningBackend, LightningUnavailableError } from './backend.ts';
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

/** The largest answer that is read; bytes. */
const maximumAnswerBytes = 1_000_000;
/** As much as fits the description of a BOLT11 invoice; LNbits takes 640 characters. */
const maximumMemoBytes = 639;
const pingMs = 10_000;

/**
 * Receives through LNbits, versions 0.12 to 1.5. What it says is believed only when asked, with the key: anyone
 * can send messages through its WebSocket.
 */
export function createLnbits(dependencies: Dependencies): Lnbits {
  const { url, invoiceKey, clock, onError, timeoutMs = 5_000 } = dependencies;
  const base = `${url.origin}${url.pathname.replace(/\/+$/, '')}/api/v1`;
  const listeners: Array<(paymentHash: string) => void> = [];
  const underWay = new Set<AbortController>();
  let push: LnbitsPush | undefined;
  let reachable = true;
  let closed = false;

  /** The status and the body of an answer that came whole and in time. */
  async function exchange(path: string, body?: object): Promise<readonly [status: number, text: string]> {
    if (closed) throw new LightningUnavailableError('LNbits is no longer asked.');
    const abort = new AbortController();
    underWay.add(abort);
    const timer = setTimeout(() => abort.abort('did not answer in time'), timeoutMs);
    try {
      const response = await fetch(`${base}/${path}`, {
        redirect: 'manual',
        headers: { 'x-api-key': invoiceKey, ...(body && { 'content-type': 'application/json' }) },
        ...(body && { method: 'POST', body: JSON.stringify(body) }),
        signal: abort.signal,
      });
      const text = await readBounded(response, maximumAnswerBytes);
      if (text !== undefined) return [response.status, text];
    } catch (error) {
      const reason = abort.signal.aborted ? abort.signal.reason : `cannot be reached${codeOf(error)}`;
      throw new LightningUnavailableError(`LNbits ${reason}.`);
    } finally {
      clearTimeout(timer);
      underWay.delete(abort);
    }
    throw new LightningUnavailableError('LNbits answered too much.');
  }

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
        const [status, text] = await exchange('payments', {
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
        const [status, text] = await exchange(`payments/${encodeURIComponent(paymentHash)}`);
        if (status === 404 && saysUnknownPayment(text)) return { paid: false, isKnown: false };
        if (!isSuccess(status)) throw refused(status);
        return readLookUp(text, paymentHash, clock.now());
      }),

    onHint(hear) {
      listeners.push(hear);
      push ??= openLnbitsPush({
        address: `${base.replace(/^http/, 'ws')}/ws/${encodeURIComponent(invoiceKey)}`,
        pingMs,
        hear: (paymentHash) => {
          for (const each of listeners) each(paymentHash);
        },
        onError,
      });
    },

    async close() {
      closed = true;
      for (const abort of underWay) abort.abort('is no longer asked');
      await push?.close();
    },
  };
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

function refused(status: number): LightningUnavailableError {
  return new LightningUnavailableError(`LNbits answered ${status}.`);
}

// The errors of fetch can hold the address and the headers: no more is told of them than a code.
function codeOf(error: unknown): string {
  const code = ((error as Error).cause as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? ` (${code})` : '';
}

/** Cuts to the bound between two characters. */
function cutMemo(memo: string): string {
  const bytes = Buffer.from(memo);
  let end = Math.min(bytes.length, maximumMemoBytes);
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
