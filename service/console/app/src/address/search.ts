/** Parameters of addresses, as texts. */

export type Change = Readonly<Record<string, string | readonly string[] | null>>;

/** What all pages share. A link from page to page takes it along. */
export const SHARED = ["range", "from", "to"] as const;

/** A search string with these parameters changed: null and an empty list take one out. Others keep their order. */
export function changed(search: string, change: Change): string {
  const parameters = new URLSearchParams(search);
  for (const [name, value] of Object.entries(change)) {
    parameters.delete(name);
    if (value === null) continue;
    for (const one of typeof value === "string" ? [value] : value) parameters.append(name, one);
  }
  return parameters.toString();
}

/** The address of a page of the console, with a search string or parameters. */
export function linkTo(page: string, search: string | Change = ""): string {
  const text = typeof search === "string" ? search : changed("", search);
  return text === "" ? `/${page}` : `/${page}?${text}`;
}

/** The address of a page for the same time, which is all that pages share. */
export function linkWithTime(page: string, search: string, more: Change = {}): string {
  const now = new URLSearchParams(search);
  return linkTo(page, { ...Object.fromEntries(SHARED.map((name) => [name, now.get(name)])), ...more });
}
