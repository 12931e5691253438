import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { documents, inlined } from "./documents.ts";

const SERVICE = process.env["CALLEDGER_URL"] ?? "http://127.0.0.1:8790";

export default defineConfig({
  // Relative, so that the console works under any path.
  base: "./",
  plugins: [inlined(), react(), documents()],
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
