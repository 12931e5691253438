/** Every word of the console is in a catalogue, in each language, and used. */

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parseAst } from "vite";
import { describe, expect, it } from "vitest";
import type { Word, Words } from "../src/language/catalogue";

const SOURCE = join(import.meta.dirname, "../src");
const catalogues = import.meta.glob<{ words: { en: Words; "zh-CN": Words } }>("../src/**/words.ts", { eager: true });
const files = (readdirSync(SOURCE, { recursive: true }) as string[]).filter(
  (name) => /\.tsx?$/.test(name) && !name.includes("gql/"),
);
const text = (name: string) => readFileSync(join(SOURCE, name), "utf-8");

/** The texts of a catalogue by their paths; those that take something with an empty text for it. */
function texts(word: Word, path = ""): [string, string][] {
  if (typeof word === "string") return [[path, word]];
  if (typeof word === "function") return [[path, (word as (...given: string[]) => string)(..."1111".split(""))]];
  return Object.entries(word).flatMap(([name, inner]) => texts(inner, path === "" ? name : `${path}.${name}`));
}

describe.each(Object.entries(catalogues))("%s", (path, { words }) => {
  it("has the same words in each language, and none is empty", () => {
    const [english, chinese] = [texts(words.en), texts(words["zh-CN"])];
    expect(chinese.map(([name]) => name)).toEqual(english.map(([name]) => name));
    for (const [name, one] of [...english, ...chinese]) expect(one.trim(), name).not.toBe("");
  });

  it("is translated: what has letters has Chinese ones, but for names", () => {
    for (const [name, chinese] of texts(words["zh-CN"])) {
      const english = texts(words.en).find(([other]) => other === name)?.[1];
      if (chinese !== english) expect(chinese, name).toMatch(/\p{Script=Han}/u);
      else expect(english, `${name} is the same in both languages`).toMatch(/^[A-Z0-9][\w.,%/ -]{0,15}$|^\W*$/);
    }
  });

  it("is set in Chinese marks", () => {
    for (const [name, chinese] of texts(words["zh-CN"])) expect(chinese, name).not.toMatch(/\p{Script=Han}[,:;?!(]|\)\p{Script=Han}/u);
  });

  it("has no word that is not used", () => {
    // Those of a page are used in its folder; what pages share is used anywhere.
    const folder = path.includes("/pages/") ? path.replace("../src/", "").replace(/words\.ts$/, "") : "";
    const users = files.filter((name) => name.startsWith(folder) && !name.endsWith("words.ts")).map(text).join("\n");
    const unused = Object.keys(words.en).filter((name) => !new RegExp(`\\.${name}\\b|\\{[^{}]*\\b${name}\\b[^{}]*\\} = useWords`).test(users));
    expect(unused).toEqual([]);
  });
});

it("finds catalogues", () => expect(Object.keys(catalogues).length).toBeGreaterThan(3));

/** Texts and labels in markup that have letters, with their files: they belong in a catalogue. */
function bareWords(name: string): string[] {
  const found: string[] = [];
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) return node.forEach(visit);
    if (node === null || typeof node !== "object") return;
    const { type, value, name: attribute } = node as { type?: string; value?: unknown; name?: { name?: string } };
    if (type === "JSXText" && /\p{L}{2}/u.test(String(value))) found.push(`${name}: ${String(value).trim()}`);
    if (type === "JSXAttribute" && /^(aria-label|title|alt|placeholder|label|caption)$/.test(attribute?.name ?? "")) {
      const literal = value as { type?: string; value?: unknown } | null;
      if (literal?.type === "Literal" && /\p{L}{2}/u.test(String(literal.value))) found.push(`${name}: ${String(literal.value)}`);
    }
    Object.values(node).forEach(visit);
  };
  visit(parseAst(text(name), { lang: "tsx" }));
  return found;
}

it("leaves no word in the markup", () => {
  const NAMES = new Set(["Calledger", "cl_…", "36h"]);
  const bare = files.filter((name) => name.endsWith(".tsx")).flatMap(bareWords);
  expect(bare.filter((one) => !NAMES.has(one.split(": ")[1] ?? ""))).toEqual([]);
});
