import { LightningUnavailableError } from '../../src/money/lightning/backend.ts';
import type { StubLightning } from '../../src/money/lightning/stub.ts';

/** The stub Lightning backend with its line cut where a test wants it. */
export interface FaultyLightning {
  /** Puts itself in front of the stub. */
  readonly wrap: (stub: StubLightning) => StubLightning;
  /** No invoice can be made, for this reason. */
  refuseInvoices: Error | undefined;
  /** Runs before an invoice is made. */
  beforeInvoice: () => Promise<void>;
  /** Payment hashes whose look-up fails; `*` stands for all. */
  readonly unreachable: Set<string>;
  /** Nothing is heard of a payment: it is found by looking up alone. */
  silent: boolean;
  /** The payment hashes that were looked up, in order. */
  readonly lookedUp: string[];
  /** Runs before each look-up. */
  beforeLookUp: (paymentHash: string) => Promise<void>;
  /** Runs between the node's answer and its arrival. */
  afterLookUp: (paymentHash: string) => Promise<void>;
}

export function faultyLightning(): FaultyLightning {
  const faults: FaultyLightning = {
    refuseInvoices: undefined,
    beforeInvoice: async () => {},
    unreachable: new Set(),
    silent: false,
    lookedUp: [],
    beforeLookUp: async () => {},
    afterLookUp: async () => {},
    wrap: (stub) => ({
      ...stub,
      async createInvoice(request) {
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
        stub.onHint((paymentHash) => {
          if (!faults.silent) hear(paymentHash);
        });
      },
    }),
  };
  return faults;
}
