/** The check of the ledger in the browser, by the example of docs/ledger-example.ndjson: what is true holds, and no bit
 * of it can be another. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Bytes, fromBase64, joined, sha256 } from "../src/evidence/bytes";
import { readCheckpoint, readKey } from "../src/evidence/checkpoint";
import { decoded } from "../src/evidence/entry";
import { isContinued, isIncluded, leafHash } from "../src/evidence/tree";

type Line = Record<string, string> & { index?: number };
const lines = readFileSync(join(import.meta.dirname, "../../../../docs/ledger-example.ndjson"), "utf-8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Line);
const key = lines.find((line) => line["type"] === "header")?.["key"] ?? "";
const note = lines.find((line) => line["type"] === "checkpoint")?.["note"] ?? "";
const leaves = lines.filter((line) => line["type"] === "entry").map((line) => line["leaf"] ?? "");
const bytes = (text: string): Bytes => fromBase64(text) ?? new Uint8Array();
const node = (left: Bytes, right: Bytes) => sha256(joined(Uint8Array.of(1), left, right));

/** Proofs of the tree of three leaves, by hand. */
async function proofs(): Promise<Bytes[][]> {
  const [one, two, three] = await Promise.all(leaves.map((leaf) => leafHash(bytes(leaf))));
  if (!one || !two || !three) throw new Error("the example has three entries");
  return [[two, three], [one, three], [await node(one, two)]];
}

describe("a checkpoint", () => {
  it("is what the key signed", async () => {
    const found = await readCheckpoint(note, ` ${key}\n`);
    expect(found).toMatchObject({ origin: key.split("+")[0], size: 3n });
  });

  it("is nothing else", async () => {
    const [origin = "", id = "", ...data] = key.split("+");
    const other = `${origin}+${id}+${data.join("+").replace(/^AQ./, "AQP")}`;
    expect(await readCheckpoint(note, other)).toBe("badKey");
    expect(await readCheckpoint(note, "nonsense")).toBe("badKey");
    expect(await readCheckpoint(note.replace("\n3\n", "\n4\n"), key)).toBe("badSignature");
    expect(await readCheckpoint(note.replace("\n3\n", "\n03\n"), key)).toBe("badCheckpoint");
    expect(await readCheckpoint(note.replace("giu0", "giu1"), key)).toBe("badSignature");
    expect(await readCheckpoint(note.replace(/^calledger/, "caliedger"), key)).toBe("otherLedger");
    expect(await readCheckpoint(note.replace(/\n— .*\n$/, "\n"), key)).toBe("otherKey");
    expect(await readCheckpoint("", key)).toBe("badCheckpoint");
    expect(await readKey(key.replace(id, "00000000"))).toBe("badKey");
  });

  it("signed by another key than the one that is pasted is told so", async () => {
    const pair = (await crypto.subtle.generateKey({ name: "Ed25519" }, true, ["sign", "verify"])) as CryptoKeyPair;
    const data = joined(Uint8Array.of(1), new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)));
    const origin = key.split("+")[0] ?? "";
    const id = (await sha256(joined(new TextEncoder().encode(`${origin}\n`), data))).slice(0, 4);
    const hex = Array.from(id, (one) => one.toString(16).padStart(2, "0")).join("");
    expect(await readCheckpoint(note, `${origin}+${hex}+${btoa(String.fromCharCode(...data))}`)).toBe("otherKey");
  });
});

describe("an entry", () => {
  it("is in the tree at its place, and at no other", async () => {
    const checkpoint = await readCheckpoint(note, key);
    if (typeof checkpoint === "string") throw new Error(checkpoint);
    const all = await proofs();
    for (const [at, proof] of all.entries()) {
      for (const index of [0, 1, 2]) {
        expect(await isIncluded(bytes(leaves[at] ?? ""), BigInt(index), 3n, checkpoint.root, proof)).toBe(index === at);
      }
      expect(await isIncluded(bytes(leaves[at] ?? ""), BigInt(at), 3n, checkpoint.root, proof.slice(1))).toBe(false);
      expect(await isIncluded(bytes(leaves[at] ?? ""), BigInt(at), 2n, checkpoint.root, proof)).toBe(false);
      const tampered = bytes(leaves[at] ?? "");
      tampered[20] = (tampered[20] ?? 0) ^ 1;
      expect(await isIncluded(tampered, BigInt(at), 3n, checkpoint.root, proof)).toBe(false);
    }
  });

  it("is decoded from its leaf, and what is none is told", () => {
    expect(decoded(leaves[2] ?? "")).toEqual({
      kind: "API_KEY_CREATED",
      actor: "cli",
      recordedAt: "2026-11-22T10:14:00.123456Z",
      facts: [["accounts", "[3]"], ["expires_at", "null"], ["key", "k7m2xq9p"], ["role", "support"]],
    });
    expect([decoded("x"), decoded(btoa("[]")), decoded(btoa("\xff"))]).toEqual([null, null, null]);
  });
});

describe("an older checkpoint", () => {
  it("is continued by a newer one, or is not", async () => {
    const [[two, three] = [], , [pair] = []] = await proofs();
    const root = fromBase64(note.split("\n")[2] ?? "");
    const one = await leafHash(bytes(leaves[0] ?? ""));
    if (!two || !three || !pair || !root) throw new Error("the example has three entries");
    expect(await isContinued(1n, 3n, one, root, [two, three])).toBe(true);
    expect(await isContinued(2n, 3n, pair, root, [three])).toBe(true);
    expect(await isContinued(3n, 3n, root, root, [])).toBe(true);
    expect(await isContinued(2n, 3n, one, root, [three])).toBe(false);
    expect(await isContinued(2n, 3n, pair, root, [two])).toBe(false);
    expect(await isContinued(0n, 3n, pair, root, [])).toBe(false);
    expect(await isContinued(4n, 3n, pair, root, [three])).toBe(false);
  });
});
