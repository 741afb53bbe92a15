import { pageSize } from './page-size.ts';

/** What was rendered, and when: a later turn has read a later state of what events are about. */
export interface Rendered<Result> {
  /** Undefined for an event that is left out. */
  readonly result: Result | undefined;
  readonly turn: number;
  /** Whether nothing behind it is told. */
  readonly isLast?: boolean;
}

/** A part of a topic that was rendered apart, for those who are behind. */
export interface RenderedPage<Result> {
  /** The sequence before the first of them. */
  readonly from: number;
  readonly rendered: readonly Rendered<Result>[];
  /** Whether it ends where something could not be rendered. */
  readonly isCut: boolean;
  /** The group's turn when it was done. */
  readonly turn: number;
}

interface Source<Result> {
  /** Where the topic is known to stand. */
  readonly head: () => number;
  /** Counts on what is rendered: what is read from now on is of this turn or a later one. */
  readonly nextTurn: () => number;
  /** Renders what follows a sequence: a page of it at most. */
  readonly render: (start: number) => Promise<RenderedPage<Result>>;
}

interface PageInHand<Result> {
  /** The sequence behind which it begins. */
  readonly start: number;
  readonly done: Promise<RenderedPage<Result>>;
  resolve(page: RenderedPage<Result>): void;
  reject(error: unknown): void;
  /** The turn in which it was begun, and where the topic stood; undefined while it waits. */
  begun?: { readonly turn: number; readonly head: number };
  rendered?: RenderedPage<Result>;
}

/** How many pages are kept for those who come a little later, and for how long behind the last of them; ms. */
const mostRecent = 8;
const recentMs = 1_000;

/**
 * The pages of a topic that are rendered for those who are far behind, each once for all who wait for it. One at a
 * time, and the earliest first: then who was told one can share the next with those who begin there.
 */
export class Pages<Result> {
  readonly #source: Source<Result>;
  readonly #asked = new Set<PageInHand<Result>>();
  /** Those that were rendered last, for who comes a little later. */
  #recent: PageInHand<Result>[] = [];
  #isWorking = false;
  #forgetting: NodeJS.Timeout | undefined;

  constructor(source: Source<Result>) {
    this.#source = source;
  }

  /**
   * The page that a sequence lies in, rendered after a turn.
   * @throws what rendering it throws.
   */
  async behind(seq: number, afterTurn: number): Promise<RenderedPage<Result>> {
    const page = await this.#ask(seq - (seq % pageSize), seq, afterTurn).done;
    // What comes before a failure is told first. Who stands there, or beyond, is told what follows from there.
    return endsBefore(page, seq) ? this.#ask(seq, seq, afterTurn).done : page;
  }

  #ask(start: number, seq: number, afterTurn: number): PageInHand<Result> {
    const isGood = (page: PageInHand<Result>) => {
      if (page.start < start || page.start > seq || seq - page.start >= pageSize) return false;
      if (!page.begun) return true;
      if (page.rendered && endsBefore(page.rendered, seq)) return false;
      return page.begun.turn > afterTurn && page.begun.head > seq;
    };
    for (const page of this.#asked) if (isGood(page)) return page;
    const recent = this.#recent.findLast(isGood);
    if (recent) return recent;
    const page = newPage<Result>(start);
    this.#asked.add(page);
    if (!this.#isWorking) this.#work();
    return page;
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    clearTimeout(this.#forgetting);
    for (let page = this.#earliest(); page; page = this.#earliest()) {
      page.begun = { turn: this.#source.nextTurn(), head: this.#source.head() };
      try {
        page.rendered = await this.#source.render(page.start);
        page.resolve(page.rendered);
        this.#recent = [...this.#recent.slice(1 - mostRecent), page];
      } catch (error) {
        page.reject(error);
      }
      this.#asked.delete(page);
    }
    this.#isWorking = false;
    this.#forgetting = setTimeout(() => {
      this.#recent = [];
    }, recentMs).unref();
  }

  #earliest(): PageInHand<Result> | undefined {
    let earliest: PageInHand<Result> | undefined;
    for (const page of this.#asked) if (!earliest || page.start < earliest.start) earliest = page;
    return earliest;
  }
}

/** Whether a page could not be rendered as far as to what follows a sequence. */
function endsBefore<Result>({ from, rendered, isCut }: RenderedPage<Result>, seq: number): boolean {
  return isCut && seq >= from + rendered.length;
}

function newPage<Result>(start: number): PageInHand<Result> {
  let settle: Pick<PageInHand<Result>, 'resolve' | 'reject'> = { resolve: () => {}, reject: () => {} };
  const done = new Promise<RenderedPage<Result>>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { start, done, ...settle };
}
