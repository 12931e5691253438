/** Saved views: the address without the open call, under a name. */

import { changed } from "../../../address/search";

export interface View {
  readonly name: string;
  readonly search: string;
}

const VIEWS_MAX = 50;

/** The views of a stored text; what is none is left out. */
export function viewsOf(text: string | null): readonly View[] {
  try {
    const found: unknown = JSON.parse(text ?? "[]");
    if (!Array.isArray(found)) return [];
    return found.filter(isView).slice(0, VIEWS_MAX);
  } catch {
    return [];
  }
}

function isView(value: unknown): value is View {
  const { name, search } = (value ?? {}) as Partial<Record<string, unknown>>;
  return typeof name === "string" && typeof search === "string";
}

/** With one more, which takes the place of that of the same name. */
export function added(views: readonly View[], name: string, search: string): readonly View[] {
  const view = { name: name.trim(), search: changed(search, { call: null }) };
  return [...without(views, view.name), view].slice(-VIEWS_MAX);
}

export function without(views: readonly View[], name: string): readonly View[] {
  return views.filter((view) => view.name !== name);
}
