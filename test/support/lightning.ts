import { type InvoiceRequest, LightningUnavailableError } from '../../src/money/lightning/backend.ts';
import type { StubLightning } from '../../src/money/lightning/stub.ts';

/** The stub Lightning backend with its line cut where a test wants it. */
export interface FaultyLightning {
  /** Puts itself in front of the stub. */
  readonly wrap: (stub: StubLightning) => StubLightning;
  /** No invoice can be made, for this reason. */
  refuseInvoices: Error | undefined;
  /** What was asked for as invoices, in order. */
  readonly requested: InvoiceRequest[];
  /** Runs before an invoice is made. */
  beforeInvoice: () => Promise<void>;
  /** Payment hashes whose look-up fails; `*` stands for all. */
  readonly unreachable: Set<string>;
  /** Nothing is heard of a payment: it is found by looking up alone. */
  silent: boolean;
  /** Says that an invoice was paid, whether it was or not. */
  readonly hint: (paymentHash: string) => void;
  /** The payment hashes that were looked up, in order. */
  readonly lookedUp: string[];
  /** Runs before each look-up. */
  beforeLookUp: (paymentHash: string) => Promise<void>;
  /** Runs between the node's answer and its arrival. */
  afterLookUp: (paymentHash: string) => Promise<void>;
}

export function faultyLightning(): FaultyLightning {
  const listeners: Array<(paymentHash: string) => void> = [];
  const faults: FaultyLightning = {
    refuseInvoices: undefined,
    requested: [],
    beforeInvoice: async () => {},
    unreachable: new Set(),
    silent: false,
    hint(paymentHash) {
      for (const hear of listeners) hear(paymentHash);
    },
    lookedUp: [],
    beforeLookUp: async () => {},
    afterLookUp: async () => {},
    wrap: (stub) => ({
      ...stub,
      async createInvoice(request) {
        faults.requested.push(request);
        await faults.beforeInvoice();
        if (faults.refuseInvoices) throw faults.refuseInvoices;
        return stub.createInvoice(request);
      },
      async lookUp(paymentHash) {
        faults.lookedUp.push(paymentHash);
        await faults.beforeLookUp(paymentHash);
        if (faults.unreachable.has('*') || faults.unreachable.has(paymentHash))
          throw new LightningUnavailableError('The line is cut.');
        const answer = await stub.lookUp(paymentHash);
        await faults.afterLookUp(paymentHash);
        return answer;
      },
      onHint(hear) {
        listeners.push(hear);
        stub.onHint((paymentHash) => {
          if (!faults.silent) hear(paymentHash);
        });
      },
    }),
  };
  return faults;
}
