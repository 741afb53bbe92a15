import {
  type Delivery,
  NotShareableError,
  type Rendering,
  type Renderings,
} from '../../src/platform/feed/rendering.ts';

/** An event as it was rendered: its fact `n`, its type and cursor, and when the state beside it was read. */
export interface Shown {
  readonly n: unknown;
  readonly type: string;
  readonly cursor: string;
  /** Grows with each reading. */
  readonly stamp: number;
  /** Which rendering it comes from, by its key. */
  readonly by: string;
}

/** A rendering that remembers what it was asked for. */
export interface RecordedRendering extends Rendering<Shown> {
  /** The facts `n` of each batch. */
  readonly asked: unknown[][];
}

interface Options {
  readonly types?: readonly string[];
  /** What each result is said to take; bytes. */
  readonly bytes?: number;
  /** Is waited for before the state is read; it may throw. */
  readonly before?: (deliveries: readonly Delivery[]) => Promise<void> | void;
  /** Is waited for behind that; it may throw. */
  readonly after?: (deliveries: readonly Delivery[]) => Promise<void> | void;
  /** How many of a batch are rendered. */
  readonly most?: (deliveries: readonly Delivery[]) => number;
}

let lastStamp = 0;

/** Renders events as what they are; the state beside those of one batch is read once, as executions do. */
export function recordedRendering(
  key: string,
  { types, bytes = 0, before, after, most = ({ length }) => length }: Options = {},
): RecordedRendering {
  const asked: unknown[][] = [];
  return {
    key,
    types,
    asked,
    async render(deliveries) {
      asked.push(deliveries.map(({ event }) => event.facts.n));
      await before?.(deliveries);
      lastStamp += 1;
      const stamp = lastStamp;
      await after?.(deliveries);
      return deliveries.slice(0, most(deliveries)).map(({ event, cursor }) => ({
        n: event.facts.n,
        type: event.type,
        cursor,
        stamp,
        by: key,
      }));
    },
    sizeOf: () => bytes,
  };
}

/** What is shared, and would be rendered the same for one alone. */
export function sharing(shared: Rendering<Shown>, alone = shared): Renderings<Shown> {
  return { shared, personal: { alone: () => alone } };
}

/** What turns out to depend on who watches. */
export const notShareable = () => {
  throw new NotShareableError('It depends on who watches.');
};

/** A way for one to wait until another lets them. */
export function gate() {
  let open = () => {};
  let arrived = 0;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    open: () => open(),
    /** How many have come to it. */
    get arrived() {
      return arrived;
    },
    pass(): Promise<void> {
      arrived += 1;
      return opened;
    },
  };
}
