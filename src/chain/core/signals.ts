import type { Subscriber } from 'zeromq';
import type { Signals } from '../source.ts';

interface Options {
  /** Where Core publishes the hashes of new tips, and the sequence of all that enters and leaves. */
  readonly hashblock?: string | undefined;
  readonly sequence?: string | undefined;
  /** Hears that messages were lost, or that the node has started again: their numbers do not follow. */
  readonly onGap: (topic: string) => void;
  readonly onError: (error: unknown) => void;
}

/** How long a subscription that broke is left alone; ms. */
const pauseMs = 1_000;

/**
 * Hears from Bitcoin Core by ZeroMQ that its tip has moved. What is heard is a reason to ask, and nothing more: what is
 * lost, repeated or made up costs a question.
 */
export function createSignals({ hashblock, sequence, onGap, onError }: Options) {
  const topics = { hashblock, sequence };
  const addresses = new Map<string, string[]>();
  for (const [topic, address] of Object.entries(topics))
    if (address !== undefined) addresses.set(address, [...(addresses.get(address) ?? []), topic]);

  /** The number of the last message of each topic. */
  const last = new Map<string, number>();

  /** Whether a message has the number that comes next; of the first, nobody knows what came before it. */
  function follows(topic: string, count: Buffer | undefined): boolean {
    const number = count?.length === 4 ? count.readUInt32LE() : undefined;
    const before = last.get(topic);
    if (number !== undefined) last.set(topic, number);
    if (before !== undefined && number === (before + 1) % 2 ** 32) return true;
    if (before !== undefined) onGap(topic);
    return false;
  }

  async function follow(subscriber: Subscriber, signals: Signals): Promise<void> {
    for await (const [name, body, count] of subscriber) {
      const topic = name?.toString() ?? '';
      if (!follows(topic, count)) signals.missed();
      if (topic === 'hashblock') signals.tip();
      else tellSequence(body, signals);
    }
  }

  /** Subscribes, over and over, until it is told to stop. */
  return function watch(signals: Signals): () => void {
    let stopped = false;
    const open = new Set<Subscriber>();
    async function subscribe(address: string, wanted: readonly string[]): Promise<void> {
      const zeromq = await import('zeromq');
      while (!stopped) {
        const subscriber = new zeromq.Subscriber();
        open.add(subscriber);
        try {
          subscriber.connect(address);
          subscriber.subscribe(...wanted);
          await follow(subscriber, signals);
        } catch (error) {
          if (!stopped) onError(error);
        } finally {
          open.delete(subscriber);
          subscriber.close();
        }
        if (!stopped) await new Promise((resolve) => setTimeout(resolve, pauseMs).unref());
      }
    }
    for (const [address, wanted] of addresses) subscribe(address, wanted).catch(onError);
    return () => {
      stopped = true;
      for (const subscriber of open) subscriber.close();
    };
  };
}

/** A message of `sequence`: a hash, and what became of it: connected, disconnected, added to the mempool or removed. */
function tellSequence(body: Buffer | undefined, signals: Signals): void {
  if (!body || body.length < 33) return;
  const hash = body.subarray(0, 32).toString('hex');
  const label = String.fromCharCode(body[32] as number);
  if (label === 'A') signals.entered(hash);
  else if (label === 'R') signals.left(hash);
  else signals.tip();
}
