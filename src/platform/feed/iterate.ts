/** What can be taken as it comes: see Subscription. */
interface Takeable<Result> {
  taker: { changed(): void } | undefined;
  readonly isOver: boolean;
  readonly failure: unknown;
  take(): Result | undefined;
  end(): void;
}

/** What is told by one subscription, one after another, as it is asked for. */
export interface Iteration<Result> extends AsyncIterableIterator<Result> {
  return(): Promise<IteratorResult<Result>>;
}

/** Reads a subscription as an iterator; it throws, once, what the subscription fails with. */
export function iterate<Result>(subscription: Takeable<Result>): Iteration<Result> {
  let hasChanged = false;
  let resume = () => {};
  let isThrown = false;
  subscription.taker = {
    changed() {
      hasChanged = true;
      resume();
    },
  };
  const iteration: Iteration<Result> = {
    async next() {
      while (!subscription.isOver) {
        hasChanged = false;
        const value = subscription.take();
        if (value !== undefined) return { done: false, value };
        if (!hasChanged)
          await new Promise<void>((resolve) => {
            resume = resolve;
          });
      }
      if (subscription.failure === undefined || isThrown) return { done: true, value: undefined };
      isThrown = true;
      throw subscription.failure;
    },
    async return() {
      subscription.end();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => iteration,
  };
  return iteration;
}
