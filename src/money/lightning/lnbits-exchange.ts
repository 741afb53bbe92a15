import { readBounded } from '../../platform/http-client.ts';
import { LightningUnavailableError } from './backend.ts';

interface Dependencies {
  /** Where LNbits is; with a path when it is not at the root of its host. */
  readonly url: URL;
  /** How long an answer may take, to its last byte. */
  readonly timeoutMs: number;
}

/** The largest answer that is read; bytes. */
const maximumAnswerBytes = 1_000_000;

/** Requests of LNbits. Nothing of an address or a key is told by their errors. */
export function createLnbitsExchange({ url, timeoutMs }: Dependencies) {
  const base = `${url.origin}${url.pathname.replace(/\/+$/, '')}/api/v1`;
  const underWay = new Set<AbortController>();
  let closed = false;

  return {
    /** The address of its API, without a slash at its end. */
    base,

    /**
     * The status and the body of an answer that came whole and in time.
     * @throws LightningUnavailableError when none did.
     */
    async ask(key: string, path: string, body?: object): Promise<readonly [status: number, text: string]> {
      if (closed) throw new LightningUnavailableError('LNbits is no longer asked.');
      const abort = new AbortController();
      underWay.add(abort);
      const timer = setTimeout(() => abort.abort('did not answer in time'), timeoutMs);
      try {
        const response = await fetch(`${base}/${path}`, {
          redirect: 'manual',
          headers: { 'x-api-key': key, ...(body && { 'content-type': 'application/json' }) },
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
    },

    /** Gives up what is under way. */
    close(): void {
      closed = true;
      for (const abort of underWay) abort.abort('is no longer asked');
    },
  };
}

export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

export function refused(status: number): LightningUnavailableError {
  return new LightningUnavailableError(`LNbits answered ${status}.`);
}

// The errors of fetch can hold the address and the headers: no more is told of them than a code.
function codeOf(error: unknown): string {
  const code = ((error as Error).cause as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? ` (${code})` : '';
}
