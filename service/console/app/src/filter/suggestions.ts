/** What a text in the filter's box may mean. */

import { CHOICE_FIELDS } from "./fields";
import type { Menu } from "./useFacets";

export interface Suggestion {
  readonly name: string;
  readonly value: string;
  readonly out: boolean;
  /** How many calls have it, where a menu has counted them. */
  readonly count: string | null;
}

const MAX = 12;
/** Fields that are looked for by an exact text that somebody pastes. */
const EXACT = ["traceId", "sessionId", "sourceId", "providerRequestId"] as const;

/** Values that have the text in them; with `field:` or `-field:` before it those of the field, and the text itself. */
export function suggestions(text: string, menus: readonly Menu[], mayFilter: (name: string) => boolean): Suggestion[] {
  const [, minus = "", field, rest = ""] = /^(-?)([A-Za-z]+|tag\.[\w-]+)[:=]\s*(.*)$/.exec(text.trim()) ?? [];
  const known = field === undefined ? undefined : nameOf(field, menus);
  const out = minus === "-";
  const wanted = (known === undefined ? text.trim() : rest).toLowerCase();
  if (wanted === "" && known === undefined) return [];
  const found = menus
    .filter((menu) => known === undefined || menu.name === known)
    .flatMap((menu) =>
      (menu.values ?? [])
        .filter(({ value }) => value !== "" && value.toLowerCase().includes(wanted))
        .map(({ value, count }) => ({ name: menu.name, value, out, count })),
    )
    .slice(0, MAX);
  return [...found, ...literal(known === undefined ? text.trim() : rest.trim(), known, out, found, mayFilter)];
}

function literal(
  value: string,
  known: string | undefined,
  out: boolean,
  found: readonly Suggestion[],
  mayFilter: (name: string) => boolean,
): Suggestion[] {
  if (value === "") return [];
  const names =
    known !== undefined ? [known] : /^call_\w{20,}$/.test(value) ? ["id"] : value.length >= 6 ? EXACT.filter(mayFilter) : [];
  return names
    .filter((name) => !found.some((one) => one.name === name && one.value === value))
    .map((name) => ({ name, value, out, count: null }));
}

/** The field that a text names, in any case. */
function nameOf(text: string, menus: readonly Menu[]): string | undefined {
  const lower = text.toLowerCase();
  const names = [...CHOICE_FIELDS.map((field) => field.name as string), ...menus.map((menu) => menu.name)];
  return names.find((name) => name.toLowerCase() === lower) ?? (lower.startsWith("tag.") ? text : undefined);
}
