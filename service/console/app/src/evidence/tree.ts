/** The ledger's tree: RFC 6962, section 2.1, with the proofs of RFC 9162, section 2.1. */

import { type Bytes, joined, same, sha256 } from "./bytes";

const HASH_BYTES = 32;

/** SHA-256(0x00 || leaf) */
export function leafHash(leaf: Bytes): Promise<Bytes> {
  return sha256(joined(Uint8Array.of(0), leaf));
}

function nodeHash(left: Bytes, right: Bytes): Promise<Bytes> {
  return sha256(joined(Uint8Array.of(1), left, right));
}

/** Whether a leaf is at `index` in the tree of `size` leaves with this root (RFC 9162, 2.1.3.2). */
export async function isIncluded(leaf: Bytes, index: bigint, size: bigint, root: Bytes, proof: readonly Bytes[]): Promise<boolean> {
  if (index < 0n || index >= size || proof.some((hash) => hash.length !== HASH_BYTES)) return false;
  let fn = index;
  let sn = size - 1n;
  let found = await leafHash(leaf);
  for (const hash of proof) {
    if (sn === 0n) return false;
    if ((fn & 1n) === 1n || fn === sn) {
      found = await nodeHash(hash, found);
      while ((fn & 1n) === 0n && fn !== 0n) [fn, sn] = [fn >> 1n, sn >> 1n];
    } else found = await nodeHash(found, hash);
    [fn, sn] = [fn >> 1n, sn >> 1n];
  }
  return sn === 0n && same(found, root);
}

/** Both shifted until the first is even. */
function withoutOnes(fn: bigint, sn: bigint): [bigint, bigint] {
  return (fn & 1n) === 1n ? withoutOnes(fn >> 1n, sn >> 1n) : [fn, sn];
}

/** Whether the tree of `size` leaves begins with that of `first` leaves, not none (RFC 9162, 2.1.4.2). */
export async function isContinued(first: bigint, size: bigint, firstRoot: Bytes, root: Bytes, proof: readonly Bytes[]): Promise<boolean> {
  if (first <= 0n || first > size) return false;
  if (first === size) return proof.length === 0 && same(firstRoot, root);
  const path = (first & (first - 1n)) === 0n ? [firstRoot, ...proof] : [...proof];
  let [fn, sn] = withoutOnes(first - 1n, size - 1n);
  const [begin, ...rest] = path;
  if (begin === undefined) return false;
  let fr = begin;
  let sr = begin;
  for (const hash of rest) {
    if (sn === 0n) return false;
    if ((fn & 1n) === 1n || fn === sn) {
      [fr, sr] = [await nodeHash(hash, fr), await nodeHash(hash, sr)];
      while ((fn & 1n) === 0n && fn !== 0n) [fn, sn] = [fn >> 1n, sn >> 1n];
    } else sr = await nodeHash(sr, hash);
    [fn, sn] = [fn >> 1n, sn >> 1n];
  }
  return sn === 0n && same(fr, firstRoot) && same(sr, root);
}
