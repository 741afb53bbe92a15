import { backoffMs } from '../backoff.ts';
import { isUnavailable } from '../errors.ts';
import { encodeCursor } from '../log/cursor.ts';
import type { LogRow } from '../log/event.ts';
import type { Feed } from './feed.ts';
import { pageSize } from './page-size.ts';
import { Pages, type Rendered, type RenderedPage } from './pages.ts';
import { type Delivery, NotShareableError, type Rendering } from './rendering.ts';

/** A subscription as its group sees it. */
export interface Member {
  /** The last sequence that it was told of, or that it has passed over. */
  readonly seq: number;
  /** Something may have come that it is to be told. */
  wake(): void;
  /** What it watches cannot be shared: it is to go on by itself. */
  separate(): void;
  fail(error: unknown): void;
}

/** An event that is not kept, rendered. */
interface RenderedEphemeral<Result> extends Rendered<Result> {
  readonly id: string;
  readonly seq: number;
}

/** What fails is tried again at least this often; ms. */
const longestRetryMs = 5_000;

/**
 * Those who watch a topic alike. Events are rendered one after another, once for all of them, and kept beside the
 * ring; a member is a position, and takes what lies behind it when it can. Nothing is rendered ahead of them all.
 */
export class Group<Result> {
  readonly rendering: Rendering<Result>;
  readonly #feed: Feed;
  readonly #onEmpty: () => void;
  readonly #members = new Set<Member>();
  /** Members that need what follows them rendered anew: they were shown a later state than the one that is kept. */
  readonly #stale = new Set<Member>();
  /** What was rendered of the sequences from `#from + 1` to `#at`. */
  #kept: Rendered<Result>[] = [];
  #from = 0;
  #at = 0;
  #turn = 0;
  #ephemeral: RenderedEphemeral<Result> | undefined;
  /** For those who are far behind; made when the first of them comes. */
  #pages: Pages<Result> | undefined;
  #isWanted = false;
  #isRunning = false;
  #stopWaiting: (() => void) | undefined;

  constructor(feed: Feed, rendering: Rendering<Result>, onEmpty: () => void) {
    this.#feed = feed;
    this.rendering = rendering;
    this.#onEmpty = onEmpty;
  }

  /** The last sequence that was rendered. */
  get at(): number {
    return this.#at;
  }

  /** Counts what was rendered. Who was shown something in a turn must be told of later turns alone from then on. */
  get turn(): number {
    return this.#turn;
  }

  join(member: Member): void {
    if (this.#members.size === 0) {
      this.#restart(member.seq);
      this.skip(this.#feed.head);
    }
    this.#members.add(member);
  }

  leave(member: Member): void {
    this.#members.delete(member);
    this.#stale.delete(member);
    if (this.#members.size > 0) return;
    this.#restart(this.#at);
    this.#pages = undefined;
    this.#stopWaiting?.();
    this.#onEmpty();
  }

  /** What follows a sequence, if it is kept and was rendered after a turn. */
  next(seq: number, afterTurn: number): Rendered<Result> | undefined {
    const rendered = seq >= this.#from ? this.#kept[seq - this.#from] : undefined;
    return rendered && rendered.turn > afterTurn ? rendered : undefined;
  }

  /** The newest event that is not kept, for who stands where it was made and has not seen it. */
  passing(seq: number, afterTurn: number, seenId: string | undefined): RenderedEphemeral<Result> | undefined {
    const ephemeral = this.#ephemeral;
    if (ephemeral?.seq !== seq || ephemeral.id === seenId) return undefined;
    if (ephemeral.turn > afterTurn) return ephemeral;
    this.#ephemeral = undefined;
    return undefined;
  }

  /** Renders nothing for who is far behind a sequence before what follows that: they read by themselves. */
  skip(seq: number): void {
    if (seq > this.#at + pageSize) this.#restart(seq);
  }

  /** A member has been told everything that was rendered. */
  want(): void {
    this.#isWanted = true;
    this.poke();
  }

  /** Has what follows a member rendered anew. It must be near, and what follows it in the ring. */
  renew(member: Member): void {
    this.#stale.add(member);
    this.poke();
  }

  /** Forgets what was rendered up to a sequence: the ring has dropped its rows. */
  drop(seq: number): void {
    const dropped = this.#kept.splice(0, Math.max(0, Math.min(seq, this.#at) - this.#from));
    this.#from += dropped.length;
    if (dropped.length > 0) this.#feed.charge(-this.#weigh(dropped));
  }

  /** Looks for what is to be rendered. */
  poke(): void {
    if (this.#isRunning || !this.#hasWork()) return;
    this.#isRunning = true;
    this.#run();
  }

  /** The page that a sequence lies in, for those who are far behind: rendered after a turn, once for all of them. */
  behind(seq: number, afterTurn: number): Promise<RenderedPage<Result>> {
    this.#pages ??= new Pages({
      head: () => this.#feed.head,
      nextTurn: () => this.#nextTurn(),
      render: (start) => this.#renderPage(start),
    });
    return this.#pages.behind(seq, afterTurn);
  }

  async #renderPage(start: number): Promise<RenderedPage<Result>> {
    const rows = await this.#feed.rowsAfter(start);
    const rendered = await this.#render(rows);
    const from = (rows[0]?.seq ?? start + 1) - 1;
    return { from, rendered, isCut: rendered.length < rows.length, turn: this.#turn };
  }

  #nextTurn(): number {
    this.#turn += 1;
    return this.#turn;
  }

  #hasWork(): boolean {
    if (this.#members.size === 0) return false;
    return this.#stale.size > 0 || (this.#isWanted && (this.#at < this.#feed.head || this.#ephemeralIsDue()));
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (this.#hasWork()) {
      const start = this.#start();
      try {
        await this.#advance(start);
        failures = 0;
      } catch (error) {
        if (isUnavailable(error)) {
          failures += 1;
          await this.#pause(failures);
        } else {
          this.#giveUp(error, start);
        }
      }
    }
    this.#isRunning = false;
  }

  /** Behind which sequence to render. Who needs something rendered anew pulls the beginning back. */
  #start(): number {
    return [...this.#stale].reduce((least, { seq }) => Math.min(least, seq), this.#at);
  }

  /** Renders what is next. */
  async #advance(start: number): Promise<void> {
    const stale = [...this.#stale];
    if (start < this.#feed.head) {
      const rows = this.#feed.after(start, pageSize) ?? (await this.#feed.rowsAfter(start));
      if (rows[0]?.seq === start + 1) this.#keep(start, await this.#render(rows));
      else this.#restart(this.#feed.head);
    } else {
      await this.#renderEphemeral();
    }
    for (const member of stale) this.#stale.delete(member);
    this.#isWanted = false;
    for (const member of this.#members) member.wake();
  }

  async #render(rows: readonly LogRow[]): Promise<Rendered<Result>[]> {
    const { types, isLast } = this.rendering;
    const wanted = types ? rows.filter(({ event }) => types.includes(event.type)) : rows;
    const turn = this.#nextTurn();
    const results = wanted.length > 0 ? await this.rendering.render(wanted.map(toDelivery)) : [];
    const rendered: Rendered<Result>[] = [];
    let next = 0;
    for (const row of rows) {
      const isWanted = row === wanted[next];
      if (isWanted && next === results.length) break;
      const result = isWanted ? results[next] : undefined;
      rendered.push(isLast?.(row.event) ? { result, turn, isLast: true } : { result, turn });
      if (isWanted) next += 1;
    }
    return rendered;
  }

  /** Keeps what was rendered behind a sequence, and of what went before only what the ring still has. */
  #keep(start: number, rendered: readonly Rendered<Result>[]): void {
    // All of them have left meanwhile, and nobody comes to this group any more.
    if (this.#members.size === 0) return;
    if (start < this.#from || start > this.#at) this.#restart(start);
    const replaced = this.#kept.splice(start - this.#from, Number.POSITIVE_INFINITY, ...rendered);
    this.#at = start + rendered.length;
    this.#feed.charge(this.#weigh(rendered) - this.#weigh(replaced));
    this.drop(Math.min(start, (this.#feed.first ?? start + 1) - 1));
  }

  #restart(seq: number): void {
    const dropped = this.#kept;
    this.#kept = [];
    this.#from = seq;
    this.#at = seq;
    if (dropped.length > 0) this.#feed.charge(-this.#weigh(dropped));
  }

  #ephemeralIsDue(): boolean {
    const latest = this.#feed.ephemeral;
    return latest?.seq === this.#at && latest.event.id !== this.#ephemeral?.id;
  }

  async #renderEphemeral(): Promise<void> {
    const latest = this.#feed.ephemeral;
    if (!latest || !this.#ephemeralIsDue()) return;
    const { seq, event } = latest;
    const { topic, epoch } = this.#feed;
    const [rendered] = await this.#render([{ topic, epoch, seq, event }]);
    if (rendered) this.#ephemeral = { ...rendered, id: event.id, seq };
  }

  /** What follows a sequence cannot be rendered: who is to be told it next hears so, and the others go on. */
  #giveUp(error: unknown, start: number): void {
    this.#isWanted = false;
    for (const member of [...this.#members])
      if (error instanceof NotShareableError) member.separate();
      else if (member.seq === start) member.fail(error);
    const beyond = [...this.#members].map(({ seq }) => seq).filter((seq) => seq > start);
    if (beyond.length > 0) this.#restart(Math.min(...beyond));
    for (const member of this.#members) member.wake();
  }

  #pause(failures: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.min(backoffMs(failures), longestRetryMs));
      this.#stopWaiting = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #weigh(rendered: readonly Rendered<Result>[]): number {
    return rendered.reduce(
      (sum, { result }) => sum + (result === undefined ? 0 : this.rendering.sizeOf(result)),
      0,
    );
  }
}

function toDelivery(row: LogRow): Delivery {
  return { event: row.event, cursor: encodeCursor(row) };
}
