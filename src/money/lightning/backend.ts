import type { Sats } from '../sats.ts';

/** What an invoice is asked to be. */
export interface InvoiceRequest {
  readonly amountSats: Sats;
  readonly memo: string;
  readonly expirySeconds: number;
  /** Where the node may say that it was paid: a hint, as `onHint` gives them. */
  readonly webhookUrl?: string;
}

export interface CreatedInvoice {
  /** 64 hexadecimal digits. */
  readonly paymentHash: string;
  readonly bolt11: string;
  readonly expiresAt: Date;
}

/** What the Lightning node says of an invoice. */
export type LookUp =
  | { readonly paid: true; readonly receivedSats: Sats; readonly paidAt: Date }
  /** Unknown is what it has never made, or what it has lost since: a wallet was changed, a backup restored. */
  | { readonly paid: false; readonly isKnown: boolean };

/** The Lightning node does not answer, or not sensibly. Nothing is known of the payment. */
export class LightningUnavailableError extends Error {
  override readonly name = 'LightningUnavailableError';
}

/** A Lightning node that receives payments. Its errors are LightningUnavailableError. */
export interface LightningBackend {
  createInvoice(request: InvoiceRequest): Promise<CreatedInvoice>;
  lookUp(paymentHash: string): Promise<LookUp>;
  /** Hears the payment hashes of invoices that may have been paid: hints, each to be looked up. */
  onHint(hear: (paymentHash: string) => void): void;
  /** Whether the last request had an answer that makes sense; true before the first. */
  readonly reachable: boolean;
  /** Stops listening for hints, and gives up what is under way. */
  close(): Promise<void>;
}
