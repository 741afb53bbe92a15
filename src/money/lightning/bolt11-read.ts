import { decode } from 'light-bolt11-decoder';

/** What a BOLT11 payment request asks for. */
export interface Bolt11Reading {
  /** The request itself, in lower case. */
  readonly bolt11: string;
  /** What stands behind `ln`: `bc`, `tb`, `tbs`, `bcrt`. */
  readonly network: string;
  /** 64 hexadecimal digits. */
  readonly paymentHash: string;
  /** Undefined when the payer chooses. */
  readonly amountMsats: bigint | undefined;
  readonly expiresAt: Date;
}

/** What BOLT 11 means by an invoice that does not say when it expires; seconds. */
const defaultExpirySeconds = 3_600;
const longest = 4_096;

/**
 * Reads a payment request whose checksum holds; undefined when it is none. Its signature is left to the node that
 * pays. One that says a thing twice is none either: the node that pays could read the other.
 */
export function readBolt11(text: string): Bolt11Reading | undefined {
  if (text.length > longest) return undefined;
  const bolt11 = text
    .trim()
    .replace(/^lightning:/i, '')
    .toLowerCase();
  try {
    const { sections } = decode(bolt11);
    const all = (name: string) =>
      sections.filter((section) => section.name === name) as Array<{ readonly value?: unknown }>;
    const [paymentHash, ...otherHashes] = all('payment_hash').map(({ value }) => String(value));
    const [expirySeconds = defaultExpirySeconds, ...otherExpiries] = all('expiry').map(({ value }) =>
      Number(value),
    );
    const [timestamp] = all('timestamp').map(({ value }) => Number(value));
    const [amount] = all('amount').map(({ value }) => BigInt(String(value)));
    const [network] = all('coin_network').map(({ value }) => (value as { bech32: string }).bech32);
    const expiresAt = new Date((Number(timestamp) + expirySeconds) * 1_000);
    // Of a moment that no date can say, this is a RangeError.
    expiresAt.toISOString();
    const isAmbiguous = otherHashes.length > 0 || otherExpiries.length > 0;
    if (isAmbiguous || network === undefined || !/^[0-9a-f]{64}$/.test(paymentHash ?? '')) return undefined;
    return { bolt11, network, paymentHash: paymentHash as string, amountMsats: amount, expiresAt };
  } catch {
    return undefined;
  }
}
