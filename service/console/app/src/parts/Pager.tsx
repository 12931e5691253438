import { useState } from "react";
import { useWords } from "../language/useWords";
import { count } from "../numbers/figures";
import { Button } from "./controls/Button";
import { words } from "./words";

export interface Pages {
  /** The cursor of the page that is shown; null: the first. */
  readonly after: string | null;
  /** The cursors of all pages so far. */
  readonly passed: readonly string[];
  go(passed: readonly string[]): void;
}

/** The place in a list that is asked for page by page, forward. What was passed is kept, so that there is a way back; a
 * list of something else (`of`) begins anew. */
export function usePages(of = ""): Pages {
  const [place, setPlace] = useState<{ readonly of: string; readonly passed: readonly string[] }>({ of, passed: [] });
  const passed = place.of === of ? place.passed : [];
  return { after: passed.at(-1) ?? null, passed, go: (next) => setPlace({ of, passed: next }) };
}

export interface PageInfo {
  readonly hasNextPage: boolean;
  readonly endCursor?: string | null | undefined;
}

interface Props {
  pages: Pages;
  /** Undefined: the page is not there yet. */
  pageInfo: PageInfo | undefined;
  back?: string;
  next?: string;
}

/** To the page before and the next one, where there are any. */
export function Pager({ pages: { passed, go }, pageInfo, back, next }: Props) {
  const word = useWords(words);
  const end = pageInfo?.hasNextPage ? (pageInfo.endCursor ?? null) : null;
  // While a page is asked for, the one before it is still there: it has led on already.
  const more = end === passed.at(-1) ? null : end;
  if (passed.length === 0 && more === null) return null;
  return (
    <nav className="pager" aria-label={word.pages}>
      <Button icon="left" disabled={passed.length === 0} onClick={() => go(passed.slice(0, -1))}>
        {back ?? word.pageBefore}
      </Button>
      <span className="quiet">{word.page(count(passed.length + 1))}</span>
      <Button icon="right" disabled={more === null} onClick={() => more !== null && go([...passed, more])}>
        {next ?? word.pageAfter}
      </Button>
    </nav>
  );
}
