import { newId } from '../ids.ts';
import { type Iteration, iterate } from './iterate.ts';
import type { Delivery, Rendering } from './rendering.ts';
import { type Feeds, type SubscribeOptions, subscribe } from './subscribe.ts';

/** An event as a follower is told it. Events of one batch were read together. */
export interface Followed extends Delivery {
  readonly batch: object;
}

export interface Following extends Iteration<Followed> {
  /** The cursor at which it began. */
  readonly position: string;
}

export interface FollowOptions extends SubscribeOptions {
  /** Only events of these types; others keep their place in the sequence. */
  readonly types?: readonly string[] | undefined;
  /** Ends it from outside. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Follows a topic event by event, with nothing made of them: for what goes on inside the server.
 * @throws what `subscribe` throws.
 */
export async function follow(feeds: Feeds, { types, signal, ...options }: FollowOptions): Promise<Following> {
  const rendering = asTheyAre(types);
  const subscription = await subscribe(feeds, options, { shared: rendering, personal: nobody });
  const end = () => subscription.end();
  if (signal?.aborted) end();
  signal?.addEventListener('abort', end, { once: true });
  const iteration = iterate(subscription);
  const forget = () => signal?.removeEventListener('abort', end);
  const following: Following = {
    position: subscription.position,
    async next() {
      const step = await iteration.next().catch((error) => {
        forget();
        throw error;
      });
      return step;
    },
    async return() {
      forget();
      return iteration.return();
    },
    [Symbol.asyncIterator]: () => following,
  };
  return following;
}

/** What nobody in particular watches is the same for each. */
const nobody = { alone: (shared: Rendering<Followed>) => shared };

function asTheyAre(types: readonly string[] | undefined): Rendering<Followed> {
  return {
    key: newId('evt'),
    types,
    render: async (deliveries) => deliveries.map((delivery) => ({ ...delivery, batch: deliveries })),
    sizeOf: () => 0,
  };
}
