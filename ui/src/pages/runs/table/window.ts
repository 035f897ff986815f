// A sliding window over a keyset-paged list: rows by index, of which only those near the eye are kept. Cursors stay, so
// that going back fetches a page again; a jump ahead walks the cursors with light requests until the place is reached.

export interface Chunk<T> {
  items: T[];
  next_cursor: string | null;
}
export interface Ask {
  cursor: string;
  limit: number;
  /** Only the cursor matters. */
  light: boolean;
  signal: AbortSignal;
}
export type Load<T> = (ask: Ask) => Promise<Chunk<T>>;

const PAGE = 200;
const KEPT_PAGES = 40;
const AT_ONCE = 3;

export class RowWindow<T extends { id: string }> {
  error: unknown = null;
  /** Rows that are known to be there; the true number once the end was seen. */
  known = 0;
  ended = false;
  version = 0;
  private readonly load: Load<T>;
  private pages = new Map<number, T[]>();
  private stale = new Set<number>();
  private cursors: (string | null)[] = [""];
  private flying = new Map<number, AbortController>();
  private walker: { aim: number; stop: AbortController } | null = null;
  private listeners = new Set<() => void>();
  private eye: [number, number] = [0, 0];

  constructor(load: Load<T>) {
    this.load = load;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  snapshot = (): number => this.version;

  get(index: number): T | undefined {
    return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  /** Whether a row is shown as it was asked for before, with other columns. */
  isStale(index: number): boolean {
    return this.stale.has(Math.floor(index / PAGE));
  }

  /** Rows that are in memory. */
  get held(): number {
    let held = 0;
    for (const page of this.pages.values()) held += page.length;
    return held;
  }

  /** Whether nothing has come yet. */
  get fresh(): boolean {
    return this.pages.size === 0 && this.error === null;
  }

  /** Sees to it that rows from `first` to `last` are there or on their way, and lets go of what is far from them. */
  need(first: number, last: number): void {
    const from = Math.max(0, Math.floor(first / PAGE));
    const to = Math.max(from, Math.floor(last / PAGE));
    this.eye = [from, to];
    for (const [page, aborter] of this.flying)
      if (page < from - 1 || page > to + 1) {
        aborter.abort();
        this.flying.delete(page);
      }
    for (const page of [...range(from, to), to + 1, from - 1]) this.fetch(page);
    const reach = this.cursors.length - 1;
    if (this.walker && to <= this.walker.aim && to > reach) return;
    this.walker?.stop.abort();
    this.walker = null;
    if (to > reach && !this.ended && this.error === null) void this.walk(to);
  }

  /** Reads the rows again, as when the loader now asks for more columns; they stay until the new ones come. */
  renew(): void {
    for (const aborter of this.flying.values()) aborter.abort();
    this.flying.clear();
    this.stale = new Set(this.pages.keys());
    this.tell();
    this.need(this.eye[0] * PAGE, (this.eye[1] + 1) * PAGE - 1);
  }

  /** Puts newer copies of rows in the place of those that are held. */
  patch(rows: T[]): void {
    const byId = new Map(rows.map((row) => [row.id, row]));
    let changed = false;
    for (const [number, page] of this.pages) {
      if (!page.some((row) => byId.has(row.id))) continue;
      this.pages.set(
        number,
        page.map((row) => byId.get(row.id) ?? row),
      );
      changed = true;
    }
    if (changed) this.tell();
  }

  retry(): void {
    this.error = null;
    this.tell();
    this.need(this.eye[0] * PAGE, (this.eye[1] + 1) * PAGE - 1);
  }

  stop(): void {
    this.walker?.stop.abort();
    for (const aborter of this.flying.values()) aborter.abort();
    this.flying.clear();
  }

  private tell(): void {
    this.version += 1;
    for (const listener of this.listeners) listener();
  }

  private fetch(page: number): void {
    const cursor = this.cursors[page];
    if (page < 0 || cursor === undefined || cursor === null || this.flying.has(page) || this.flying.size >= AT_ONCE) return;
    if ((this.pages.has(page) && !this.stale.has(page)) || this.error !== null) return;
    const aborter = new AbortController();
    this.flying.set(page, aborter);
    this.load({ cursor, limit: PAGE, light: false, signal: aborter.signal }).then(
      (chunk) => {
        if (this.flying.get(page) !== aborter) return;
        this.flying.delete(page);
        this.pages.set(page, chunk.items);
        this.stale.delete(page);
        this.learn(page, chunk);
        this.forget();
        this.tell();
        this.need(this.eye[0] * PAGE, (this.eye[1] + 1) * PAGE - 1);
      },
      (error: unknown) => {
        if (this.flying.get(page) !== aborter) return;
        this.flying.delete(page);
        if (aborter.signal.aborted) return;
        this.error = error;
        this.tell();
      },
    );
  }

  private learn(page: number, chunk: Chunk<T>): void {
    if (this.cursors.length === page + 1) {
      if (chunk.next_cursor === null) this.ended = true;
      else this.cursors.push(chunk.next_cursor);
    }
    this.known = Math.max(this.known, page * PAGE + chunk.items.length);
  }

  private async walk(aim: number): Promise<void> {
    const stop = new AbortController();
    this.walker = { aim, stop };
    try {
      while (!stop.signal.aborted && !this.ended && this.cursors.length - 1 < aim) {
        const page = this.cursors.length - 1;
        const chunk = await this.load({ cursor: this.cursors[page] ?? "", limit: PAGE, light: true, signal: stop.signal });
        if (stop.signal.aborted) return;
        this.learn(page, chunk);
      }
    } catch (error) {
      if (stop.signal.aborted) return;
      this.error = error;
    }
    if (this.walker?.stop === stop) this.walker = null;
    this.tell();
    this.need(this.eye[0] * PAGE, (this.eye[1] + 1) * PAGE - 1);
  }

  private forget(): void {
    if (this.pages.size <= KEPT_PAGES) return;
    const middle = (this.eye[0] + this.eye[1]) / 2;
    const far = [...this.pages.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    for (const page of far.slice(0, this.pages.size - KEPT_PAGES)) this.pages.delete(page);
  }
}

function* range(from: number, to: number): Generator<number> {
  for (let i = from; i <= to; i += 1) yield i;
}
