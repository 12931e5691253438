import { stringifyDocument } from "@urql/core";
import type { Plugin } from "vite";
import * as generated from "./src/api/gql/graphql.ts";

const ALL: Readonly<Record<string, unknown>> = generated;
const ASKED = /\bgraphql\(\s*`\s*\w+\s+(\w+)[^`]*`\s*\)/g;

/** Puts each document where it is asked from. `graphql` finds it in a table of all of them, which each page would load. */
export function inlined(): Plugin {
  return {
    name: "inlined-documents",
    apply: "build",
    enforce: "pre",
    transform: {
      filter: { id: /\/src\/(?!api\/gql\/).*\.tsx?$/, code: "graphql(" },
      handler: (code) => code.replace(ASKED, (_, name: string) => `(${JSON.stringify(ALL[`${name}Document`] ?? ALL[`${name}FragmentDoc`])})`),
    },
  };
}

/** Writes `documents.json`: the text of each operation to the letter as a page sends it, by its name. Where only trusted
 * documents are answered, the service trusts these as long as it serves the page. */
export function documents(): Plugin {
  const texts = Object.entries<Parameters<typeof stringifyDocument>[0]>(generated)
    .filter(([name]) => name.endsWith("Document")) // the others are fragments
    .map(([name, document]) => [name.slice(0, -"Document".length), stringifyDocument(document)] as const);
  return {
    name: "documents",
    apply: "build",
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "documents.json", source: `${JSON.stringify(Object.fromEntries(texts), null, 1)}\n` });
    },
  };
}
