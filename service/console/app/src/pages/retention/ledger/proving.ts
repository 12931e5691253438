/** What an auditor checks in this browser: the service is asked for proofs, and believed in nothing else. */

import type { Client } from "urql";
import { type Bytes, fromBase64 } from "../../../evidence/bytes";
import { type Checkpoint, type Doubt, readCheckpoint } from "../../../evidence/checkpoint";
import { isContinued, isIncluded } from "../../../evidence/tree";
import { NewestCheckpoint, ProofOfEntry, ProofOfHistory } from "../documents";

/** The hashes of a proof; null: one of them is none. */
function hashesOf(texts: readonly string[] | undefined): Bytes[] | null {
  const found = (texts ?? []).map(fromBase64);
  return texts === undefined || found.includes(null) ? null : (found as Bytes[]);
}

/** The newest checkpoint, if the key signed it. */
export async function trusted(client: Client, key: string): Promise<Checkpoint | Doubt> {
  const { data } = await client.query(NewestCheckpoint, {}).toPromise();
  return data?.checkpoint ? readCheckpoint(data.checkpoint.note, key) : "badCheckpoint";
}

/** Whether an entry, by the bytes of its leaf, is in the tree of a checkpoint; null: it is. */
export async function proveEntry(client: Client, checkpoint: Checkpoint, index: string, leaf: string): Promise<Doubt | null> {
  if (BigInt(index) >= checkpoint.size) return "notCovered";
  const { data } = await client.query(ProofOfEntry, { index, size: String(checkpoint.size) }).toPromise();
  const hashes = hashesOf(data?.inclusionProof?.hashes);
  const bytes = fromBase64(leaf);
  if (hashes === null || bytes === null) return "noProof";
  return (await isIncluded(bytes, BigInt(index), checkpoint.size, checkpoint.root, hashes)) ? null : "notIncluded";
}

/** Whether the ledger still begins with what an older checkpoint, signed by the same key, covers; null: it does. */
export async function proveHistory(client: Client, checkpoint: Checkpoint, kept: string, key: string): Promise<Doubt | null> {
  const older = await readCheckpoint(`${kept.replaceAll("\r", "").trimEnd()}\n`, key);
  if (typeof older === "string") return older;
  if (older.size > checkpoint.size) return "notContinued";
  if (older.size === 0n) return null;
  const { data } = await client.query(ProofOfHistory, { from: String(older.size), to: String(checkpoint.size) }).toPromise();
  const hashes = hashesOf(data?.consistencyProof?.hashes);
  if (hashes === null) return "noProof";
  return (await isContinued(older.size, checkpoint.size, older.root, checkpoint.root, hashes)) ? null : "notContinued";
}
