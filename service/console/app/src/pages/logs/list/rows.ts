/** Rows of a long list, loaded page by page behind a cursor. Pages that are far from what is looked at are forgotten and
 * asked for again by their cursor, so that a list of any length holds the same memory. */

import type { Problem } from "../../../api/problem";

export interface LoadedPage<Row> {
  readonly rows: readonly Row[];
  readonly endCursor: string | null;
  readonly hasNextPage: boolean;
}

export type Load<Row> = (after: string | null, first: number, signal: AbortSignal) => Promise<LoadedPage<Row> | Problem>;

interface Page<Row> {
  readonly after: string | null;
  readonly start: number;
  readonly count: number;
  rows: readonly Row[] | null;
}

/** The first page is small, so that it is there soon. */
export const FIRST_PAGE = 60;
export const PAGE = 200;
/** Pages that are held at once. */
const HELD_MAX = 30;
const THROTTLED_MS = 2_000;

export class Rows<Row> {
  readonly #load: Load<Row>;
  readonly #ended = new AbortController();
  readonly #listeners = new Set<() => void>();
  #pages: Page<Row>[] = [];
  #cursor: string | null = null;
  #loading = new Set<number>();
  /** What is shown changes with it. */
  version = 0;
  length = 0;
  /** Whether there are rows behind the last one. */
  more = true;
  problem: Problem | null = null;

  constructor(load: Load<Row>) {
    this.#load = load;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  get waiting(): boolean {
    return this.#loading.size > 0;
  }

  /** The row of a number; undefined: it is not here (any more). */
  row(index: number): Row | undefined {
    const page = this.#pages[this.#pageOf(index)];
    return page?.rows?.[index - page.start];
  }

  /** The number of the first row that fits, of those that are here; -1: none does. */
  indexOf(fits: (row: Row) => boolean): number {
    for (const page of this.#pages) {
      const found = page.rows?.findIndex(fits) ?? -1;
      if (found >= 0) return page.start + found;
    }
    return -1;
  }

  /** Loads what is missing of these rows, and the page behind them when they come near the end. Nobody has scrolled who
   * is at the top: most filters are looked at no further. */
  need(first: number, last: number): void {
    if (this.problem !== null || this.#ended.signal.aborted) return;
    for (let page = Math.max(0, this.#pageOf(first)); page <= this.#pageOf(last); page++) {
      if (this.#pages[page]?.rows === null) void this.#fetch(page);
    }
    const ahead = first > 0 ? PAGE / 2 : 1;
    if (this.more && last >= this.length - ahead) void this.#fetch(this.#pages.length);
    this.#forget(first, last);
  }

  /** Once more what went wrong. */
  again(): void {
    this.problem = null;
    this.#changed();
    this.need(Math.max(0, this.length - 1), this.length);
  }

  /** Nothing more is loaded. */
  end(): void {
    this.#ended.abort();
    this.#listeners.clear();
  }

  async #fetch(number: number): Promise<void> {
    if (this.#loading.has(number)) return;
    this.#loading.add(number);
    const known = this.#pages[number];
    const after = known === undefined ? this.#cursor : known.after;
    const found = await this.#load(after, known?.count ?? (number === 0 ? FIRST_PAGE : PAGE), this.#ended.signal);
    if (this.#ended.signal.aborted) return;
    if ("message" in found && found.code === "THROTTLED" && number > 0) {
      // It counts as loading until then, so that nobody asks for it meanwhile.
      setTimeout(() => {
        this.#loading.delete(number);
        if (!this.#ended.signal.aborted) void this.#fetch(number);
      }, THROTTLED_MS);
      return;
    }
    this.#loading.delete(number);
    if ("message" in found) this.problem = found;
    else if (known !== undefined) known.rows = found.rows;
    else this.#append(after, found);
    this.#changed();
  }

  #append(after: string | null, { rows, endCursor, hasNextPage }: LoadedPage<Row>): void {
    if (rows.length > 0) this.#pages.push({ after, start: this.length, count: rows.length, rows });
    this.length += rows.length;
    this.#cursor = endCursor;
    this.more = hasNextPage && endCursor !== null;
  }

  #forget(first: number, last: number): void {
    const held = this.#pages.filter((page) => page.rows !== null);
    if (held.length <= HELD_MAX) return;
    const middle = (first + last) / 2;
    const distance = (page: Page<Row>) => Math.abs(page.start + page.count / 2 - middle);
    for (const page of held.toSorted((one, other) => distance(other) - distance(one)).slice(0, held.length - HELD_MAX)) {
      page.rows = null;
    }
  }

  #pageOf(index: number): number {
    let low = 0;
    let high = this.#pages.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#pages[middle]?.start ?? 0) <= index) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #changed(): void {
    this.version++;
    this.#listeners.forEach((listener) => listener());
  }
}
