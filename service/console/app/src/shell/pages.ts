import type { Session } from "../session/session";
import type { Page } from "./page";

const found = import.meta.glob<{ page: Page }>("../pages/*/entry.ts", { eager: true });

/** All pages, in the order of the navigation. */
export const PAGES: readonly Page[] = Object.values(found)
  .map((module) => module.page)
  .toSorted((one, other) => one.order - other.order);

/** The pages that somebody may see anything on. */
export function pagesOf(session: Session): readonly Page[] {
  return PAGES.filter((page) => page.roots.some((root) => session.mayAsk(root)));
}
