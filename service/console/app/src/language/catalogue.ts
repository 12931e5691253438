/** Words of a part of the console, in each language that it is read in. */

export const LANGUAGES = ["en", "zh-CN"] as const;
export type Language = (typeof LANGUAGES)[number];

/** A text, a text of what is put into it, or texts by name, as those of an enum. */
export type Word = string | ((...given: never[]) => string) | { readonly [name: string]: Word };
export type Words = { readonly [name: string]: Word };

/** The shape of `T` with any texts: another language has the same words, which take the same things. */
type Translated<T> = T extends string
  ? string
  : T extends (...given: infer Given) => string
    ? (...given: Given) => string
    : { readonly [Name in keyof T]: Translated<T[Name]> };

export type Catalogue<T extends Words> = { readonly en: Translated<T>; readonly "zh-CN": Translated<T> };

/** A catalogue: the English words, and the same in Chinese. A word that is missing in either does not compile. */
export function catalogue<const T extends Words>(en: T, chinese: Translated<T>): Catalogue<T> {
  return { en: en as unknown as Translated<T>, "zh-CN": chinese };
}

/** The language that somebody's browser asks for, of those that there are. */
export function preferredLanguage(asked: readonly string[]): Language {
  const first = asked.find((name) => /^(en|zh)\b/i.test(name)) ?? "en";
  return /^zh/i.test(first) ? "zh-CN" : "en";
}
