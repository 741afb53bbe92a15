import type { Clock } from '../../platform/clock.ts';
import { readBolt11 } from './bolt11-read.ts';
import { createLnbitsExchange, isSuccess, refused } from './lnbits-exchange.ts';
import {
  hasDetails,
  readCreated,
  readPaymentLookUp,
  readWallet,
  saysUnknownPayment,
} from './lnbits-payment.ts';
import { type LightningPayer, WrongWalletError } from './payer.ts';

interface Dependencies {
  /** Where LNbits is; with a path when it is not at the root of its host. */
  readonly url: URL;
  /** The key of the wallet that receives. */
  readonly invoiceKey: string;
  /** The key that pays: of the same wallet. */
  readonly adminKey: string;
  readonly clock: Clock;
  /** How long an answer may take, to its last byte; a payment answers when it has been made. */
  readonly timeoutMs?: number;
}

/** What is asked for to see whose the keys are; nobody is told of it. */
const proof = { out: false, amount: 1, unit: 'sat', memo: 'Satwire looks at its wallet', expiry: 60 };

/**
 * Pays through LNbits, versions 0.12 to 1.5. Only a look-up tells what became of a payment; one that 0.12 has seen
 * fail it knows no more.
 */
export function createLnbitsPayer(dependencies: Dependencies): LightningPayer {
  const { url, invoiceKey, adminKey, clock, timeoutMs = 30_000 } = dependencies;
  const exchange = createLnbitsExchange({ url, timeoutMs });
  let network: string | undefined;

  async function readSuccess(key: string, path: string, body?: object): Promise<string> {
    const [status, text] = await exchange.ask(key, path, body);
    if (!isSuccess(status)) throw refused(status);
    return text;
  }

  const wallet = async () => readWallet(await readSuccess(adminKey, 'wallet'));

  /** An invoice that the one key makes, the other sees in full only if it is of the same wallet. */
  async function prove(): Promise<string> {
    if (!(await wallet()).isAdmin)
      throw new WrongWalletError('LNBITS_ADMIN_KEY cannot pay: it is no admin key.');
    const { bolt11, paymentHash } = readCreated(await readSuccess(invoiceKey, 'payments', proof), 1n);
    const [status, text] = await exchange.ask(adminKey, `payments/${paymentHash}`);
    const isUnknown = status === 404 && saysUnknownPayment(text);
    if (!isUnknown && !isSuccess(status)) throw refused(status);
    if (isUnknown || !hasDetails(text))
      throw new WrongWalletError('LNBITS_ADMIN_KEY and LNBITS_INVOICE_KEY are of different wallets.');
    return readBolt11(bolt11)?.network as string;
  }

  return {
    async network() {
      network ??= await prove();
      return network;
    },

    async pay(bolt11) {
      await readSuccess(adminKey, 'payments', { out: true, bolt11 });
    },

    async lookUpPayment(paymentHash) {
      const [status, text] = await exchange.ask(adminKey, `payments/${encodeURIComponent(paymentHash)}`);
      if (status === 404 && saysUnknownPayment(text)) return { state: 'UNKNOWN' };
      if (!isSuccess(status)) throw refused(status);
      return readPaymentLookUp(text, paymentHash, clock.now());
    },

    async balanceMsats() {
      return (await wallet()).balanceMsats;
    },

    close: () => exchange.close(),
  };
}
