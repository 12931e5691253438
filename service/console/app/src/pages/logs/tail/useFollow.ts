import { useEffect, useRef } from "react";

/** How often the list is read anew at most, so that calls that come one by one are shown together. */
const PACE_MS = 2_000;
/** A pointer that has not been moved for so long rests over the list by chance: nobody is about to press a row. */
const RESTING_MS = 10_000;

const LIST = "[role=grid]";

/** Shows new calls by itself as long as nobody is reading the list, and so nothing is moved from under anybody. */
export function useFollow(fresh: boolean, wanted: boolean, show: () => void): void {
  const pointed = usePointed(wanted);
  useEffect(() => {
    if (!fresh || !wanted) return;
    const timer = setInterval(() => {
      const rests = performance.now() - pointed.current > RESTING_MS;
      if (rests && !isRead(document.querySelector(LIST))) show();
    }, PACE_MS);
    return () => clearInterval(timer);
  }, [fresh, wanted, show, pointed]);
}

/** When a pointer was last moved over the list, in ms of `performance.now()`. */
function usePointed(wanted: boolean) {
  const pointed = useRef(-Infinity);
  useEffect(() => {
    if (!wanted) return;
    const moved = ({ target }: PointerEvent) => {
      if (target instanceof Element && target.closest(LIST) !== null) pointed.current = performance.now();
    };
    document.addEventListener("pointermove", moved, { passive: true });
    return () => document.removeEventListener("pointermove", moved);
  }, [wanted]);
  return pointed;
}

/** Whether somebody has scrolled it or moves in it by keys. */
function isRead(list: Element | null): boolean {
  return list !== null && (list.scrollTop > 0 || list.matches(":focus-within"));
}
