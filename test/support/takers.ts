import type { Subscription, Taker } from '../../src/platform/feed/subscription.ts';

/** Takes what a subscription is told as a socket does: all that is at hand, unless it stalls. */
export interface Pushed<Result> extends Taker {
  readonly subscription: Subscription<Result>;
  readonly told: Result[];
  isStalled: boolean;
  /** Takes again. */
  resume(): void;
}

/** Begins to take, unless it is to stall from the start. */
export function push<Result>(subscription: Subscription<Result>, isStalled = false): Pushed<Result> {
  const told: Result[] = [];
  let isTaking = false;
  const pushed: Pushed<Result> = {
    subscription,
    told,
    isStalled,
    changed() {
      if (isTaking) return;
      isTaking = true;
      while (!subscription.isOver && !pushed.isStalled) {
        const result = subscription.take();
        if (result === undefined) break;
        told.push(result);
      }
      isTaking = false;
    },
    resume() {
      pushed.isStalled = false;
      pushed.changed();
    },
  };
  subscription.taker = pushed;
  pushed.changed();
  return pushed;
}
