import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const HERE = import.meta.dirname;
const SERVICE = process.env["CALLEDGER_URL"] ?? "http://127.0.0.1:8790";

/** Files that the assets are made of: the source without what is generated, and the schema that it is generated from. */
function sources(folder = HERE): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (["node_modules", "gql", "tests", "README.md"].includes(entry.name)) return [];
    return entry.isDirectory() ? sources(path) : [path];
  });
}

/** `dist/BUILD.json`: the SHA-256 of each source by its path, so that a test tells stale assets without Node. */
function buildRecord(): Plugin {
  return {
    name: "build-record",
    apply: "build",
    closeBundle() {
      const named = sources().map((path) => [relative(HERE, path).split(sep).join("/"), path] as const);
      named.push(["schema.graphql", resolve(HERE, "../../../schema.graphql")]);
      const hashes = Object.fromEntries(
        named
          .toSorted(([one], [other]) => (one < other ? -1 : 1))
          .map(([name, path]) => [name, createHash("sha256").update(readFileSync(path)).digest("hex")]),
      );
      writeFileSync(resolve(HERE, "../dist/BUILD.json"), `${JSON.stringify({ sources: hashes }, null, 1)}\n`);
    },
  };
}

export default defineConfig({
  // Relative, so that the console works under any path.
  base: "./",
  plugins: [react(), buildRecord()],
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: { proxy: { "/graphql": SERVICE, "/v1": SERVICE } },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
});
