import type { Subscriber } from 'zeromq';

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

/** Connect and disconnect, in messages of `sequence`; the rest is about the mempool. */
const ofBlocks = ['C', 'D'].map((letter) => letter.charCodeAt(0));

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

  /** Whether a message is a reason to look at the tip. */
  function isReason(topic: string, body: Buffer | undefined, count: Buffer | undefined): boolean {
    const number = count?.length === 4 ? count.readUInt32LE() : undefined;
    const before = last.get(topic);
    if (number !== undefined) last.set(topic, number);
    const follows = before === undefined || number === (before + 1) % 2 ** 32;
    if (!follows) onGap(topic);
    return !follows || topic === 'hashblock' || ofBlocks.includes(body?.[32] ?? 0);
  }

  async function follow(subscriber: Subscriber, onSignal: () => void): Promise<void> {
    for await (const [topic, body, count] of subscriber)
      if (isReason(topic?.toString() ?? '', body, count)) onSignal();
  }

  /** Subscribes, over and over, until it is told to stop. */
  return function watch(onSignal: () => void): () => void {
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
          await follow(subscriber, onSignal);
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
