import { useEffect } from "react";

/** Gives a cell of a plain table that is cut a title with all of it, once a pointer is over it. */
export function useWholeNames(): void {
  useEffect(() => {
    document.addEventListener("mouseover", show, { passive: true });
    return () => document.removeEventListener("mouseover", show);
  }, []);
}

function show({ target }: Event): void {
  const cell = target instanceof Element ? target.closest<HTMLElement>(".plain-table td, .plain-table th") : null;
  if (cell !== null && cell.scrollWidth > cell.clientWidth) cell.title = cell.textContent ?? "";
}
