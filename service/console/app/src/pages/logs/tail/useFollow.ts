import { useEffect } from "react";

/** How often the list is read anew at most, so that calls that come one by one are shown together. */
const PACE_MS = 2_000;

/** Shows new calls by itself as long as nobody is reading the list, and so nothing is moved from under anybody. */
export function useFollow(fresh: boolean, wanted: boolean, show: () => void): void {
  useEffect(() => {
    if (!fresh || !wanted) return;
    const timer = setInterval(() => {
      if (!isRead(document.querySelector("[role=grid]"))) show();
    }, PACE_MS);
    return () => clearInterval(timer);
  }, [fresh, wanted, show]);
}

/** Whether somebody has scrolled it, points at it, or moves in it by keys. */
function isRead(list: Element | null): boolean {
  return list !== null && (list.scrollTop > 0 || list.matches(":hover, :focus-within"));
}
