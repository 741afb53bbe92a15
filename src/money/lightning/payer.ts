/** What the Lightning node says of a payment that it was to make. */
export type PaymentLookUp =
  | { readonly state: 'PAID'; readonly feeMsats: bigint; readonly paidAt: Date }
  /** Unknown is what it has never been asked to pay, or has lost since. */
  | { readonly state: 'PENDING' | 'FAILED' | 'UNKNOWN' };

/**
 * A Lightning node that pays. Its errors are LightningUnavailableError; none of them says that nothing was paid.
 */
export interface LightningPayer {
  /**
   * Makes sure that what it pays from is the wallet that it receives with, and tells the network of that wallet
   * as its invoices do, behind `ln`: `bc`, `tb`, `tbs`, `bcrt`.
   * @throws WrongWalletError when it is another wallet.
   */
  network(): Promise<string>;
  /** Asks it to pay a BOLT11, once; whatever it answers, only a look-up tells what became of it. */
  pay(bolt11: string): Promise<void>;
  lookUpPayment(paymentHash: string): Promise<PaymentLookUp>;
  /** What the wallet holds; msats. */
  balanceMsats(): Promise<bigint>;
  /** Gives up what is under way. */
  close(): void;
}

/** The key that pays is of another wallet than the one that receives. */
export class WrongWalletError extends Error {
  override readonly name = 'WrongWalletError';
}
