/** An entry of the ledger, decoded from the very bytes that are in the tree. */

import { type Bytes, fromBase64 } from "./bytes";

export interface Decoded {
  readonly kind: string;
  readonly actor: string;
  readonly recordedAt: string;
  /** Names and values of its facts, in their order; values as JSON, but for texts. */
  readonly facts: readonly (readonly [string, string])[];
}

/** What a leaf says; null: it cannot be read. */
export function decoded(leaf: string): Decoded | null {
  const bytes = fromBase64(leaf);
  if (bytes === null) return null;
  const read: unknown = parsed(bytes);
  if (read === null || typeof read !== "object") return null;
  const { kind, actor, recorded_at: at, facts } = read as Readonly<Record<string, unknown>>;
  if (typeof kind !== "string" || typeof actor !== "string" || typeof at !== "string") return null;
  const named = facts !== null && typeof facts === "object" ? Object.entries(facts) : [];
  return { kind, actor, recordedAt: at, facts: named.map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]) };
}

function parsed(bytes: Bytes): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return null;
  }
}
