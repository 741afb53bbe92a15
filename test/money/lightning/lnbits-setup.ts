import { inspect } from 'node:util';
import { afterEach, expect } from 'vitest';
import { LightningUnavailableError } from '../../../src/money/lightning/backend.ts';
import { createLnbits, type Lnbits } from '../../../src/money/lightning/lnbits.ts';
import { systemClock } from '../../../src/platform/clock.ts';
import { type FakeLnbits, startLnbits } from '../../support/lnbits.ts';

/** What a test did with its LNbits, looked through for secrets when it is over. */
interface Setup {
  readonly node: FakeLnbits;
  readonly told: unknown[];
  readonly backends: Lnbits[];
}

const setups: Setup[] = [];

afterEach(async () => {
  for (const { node, told, backends } of setups.splice(0)) {
    for (const backend of backends) await backend.close();
    await node.close();
    for (const error of told) expectNoSecrets(error, node);
  }
});

/** A fake LNbits and how to ask it, until the test is over; no error that comes of it may tell a secret. */
export async function useLnbits(options: Parameters<typeof startLnbits>[0] = {}) {
  const node = await startLnbits(options);
  const told: unknown[] = [];
  const backends: Lnbits[] = [];
  setups.push({ node, told, backends });

  function connect(changes: Partial<Parameters<typeof createLnbits>[0]> = {}): Lnbits {
    const backend = createLnbits({
      url: new URL(node.url),
      invoiceKey: node.invoiceKey,
      clock: systemClock,
      onError: (error) => told.push(error),
      ...changes,
    });
    backends.push(backend);
    return backend;
  }

  return {
    node,
    connect,
    /** What was given to `onError`, and the errors that `refusal` saw. */
    told,
    /** The message with which something is refused. */
    async refusal(promise: Promise<unknown>): Promise<string> {
      const error = await promise.then(
        (value) => expect.fail(`It was not refused: ${inspect(value)}`),
        (reason: unknown) => reason,
      );
      told.push(error);
      expect(error).toBeInstanceOf(LightningUnavailableError);
      return (error as Error).message;
    },
  };
}

/** Looks through all that hangs on an error, its cause and stack too. */
function expectNoSecrets(error: unknown, node: FakeLnbits): void {
  const all = inspect(error, { depth: 20, showHidden: true, maxStringLength: null, maxArrayLength: null });
  const secrets = [node.invoiceKey, node.adminKey, node.otherKey, new URL(node.url).host, '/api/v1'];
  const payments = [...node.invoices.values()].flatMap(({ preimage, bolt11 }) => [preimage, bolt11]);
  for (const secret of [...secrets, ...payments, 'html', '"detail"', 'Unexpected backend error']) {
    expect(all).not.toContain(secret);
  }
}
