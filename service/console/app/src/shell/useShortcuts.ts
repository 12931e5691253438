import { useEffect, useRef } from "react";
import { useLocation } from "wouter";
import { linkWithTime } from "../address/search";
import { useRange } from "../time/RangeContext";
import type { Page } from "./page";

/** Whether somebody types into something, so that a letter is a letter. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("input, select, textarea, [contenteditable], dialog") !== null;
}

/** Keys that do the same on each page: `?` for help, `/` for the filter, `r` to refresh, `g` and a letter for a page. */
export function useShortcuts(pages: readonly Page[], showHelp: () => void): void {
  const [, go] = useLocation();
  const { refresh } = useRange();
  const goes = useRef(0);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      const page = Date.now() - goes.current < 1500 ? pages.find((one) => one.key === event.key) : undefined;
      goes.current = 0;
      if (page !== undefined) {
        go(linkWithTime(page.path, location.search));
      } else if (event.key === "?") showHelp();
      else if (event.key === "/") document.querySelector<HTMLElement>("[data-filter]")?.focus();
      else if (event.key === "r") refresh();
      else if (event.key === "g") goes.current = Date.now();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [pages, showHelp, go, refresh]);
}
