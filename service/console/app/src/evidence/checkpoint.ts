/** Signed checkpoints: C2SP tlog-checkpoint, which is a signed note, with Ed25519 (RFC 8032). See docs/ledger.md. */

import { type Bytes, fromBase64, joined, sha256, toHex, utf8 } from "./bytes";

/** Why something is not proved. */
export type Doubt =
  | "noCrypto"
  | "noEd25519"
  | "badKey"
  | "badCheckpoint"
  | "otherLedger"
  | "otherKey"
  | "badSignature"
  | "notCovered"
  | "noProof"
  | "notIncluded"
  | "notContinued";

export interface VerifierKey {
  readonly origin: string;
  readonly id: string;
  readonly publicKey: Bytes;
}

export interface Checkpoint {
  readonly origin: string;
  readonly size: bigint;
  readonly root: Bytes;
}

const ED25519 = 1;
const KEY_BYTES = 32;
const ID_BYTES = 4;

/** A verifier key, `<origin>+<key id in hex>+<base64 of 0x01 and the public key>`. */
export async function readKey(text: string): Promise<VerifierKey | "badKey"> {
  const [, origin, id, data] = /^([^+\s]{1,200})\+([0-9a-f]{8})\+(\S{1,100})$/.exec(text.trim()) ?? [];
  const bytes = data === undefined ? null : fromBase64(data);
  if (origin === undefined || id === undefined || bytes === null || bytes.length !== KEY_BYTES + 1 || bytes[0] !== ED25519) return "badKey";
  const computed = await sha256(joined(utf8(origin), Uint8Array.of(0x0a), bytes));
  return toHex(computed.slice(0, ID_BYTES)) === id ? { origin, id, publicKey: bytes.slice(1) } : "badKey";
}

/** What a note says, and the signatures under it; null: it is no checkpoint. */
function readNote(note: string): { checkpoint: Checkpoint; text: string; signatures: readonly (readonly [string, Bytes])[] } | null {
  const end = note.indexOf("\n\n");
  if (end < 0 || note.length > 10_000) return null;
  const text = note.slice(0, end + 1);
  const [origin, size, root, rest, ...more] = text.split("\n");
  const bytes = fromBase64(root ?? "");
  if (!origin || !/^(0|[1-9]\d{0,17})$/.test(size ?? "") || bytes?.length !== 32 || rest !== "" || more.length > 0) return null;
  const signatures = note.slice(end + 2).split("\n").flatMap((line) => {
    const [, name, data] = /^— (\S+) (\S+)$/.exec(line) ?? [];
    const signature = fromBase64(data ?? "");
    return name === undefined || signature === null || signature.length !== ID_BYTES + 64 ? [] : [[name, signature] as const];
  });
  return { checkpoint: { origin, size: BigInt(size ?? "0"), root: bytes }, text, signatures };
}

/** Whether this browser can check signatures at all: WebCrypto is there in secure contexts alone, Ed25519 in newer ones. */
async function imported(key: Bytes): Promise<CryptoKey | "noCrypto" | "noEd25519"> {
  if (globalThis.crypto?.subtle === undefined) return "noCrypto";
  try {
    return await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
  } catch {
    return "noEd25519";
  }
}

/** A checkpoint that the key signed, or why it is none. */
export async function readCheckpoint(note: string, keyText: string): Promise<Checkpoint | Doubt> {
  if (globalThis.crypto?.subtle === undefined) return "noCrypto";
  const key = await readKey(keyText);
  if (key === "badKey") return key;
  const read = readNote(note);
  if (read === null) return "badCheckpoint";
  if (read.checkpoint.origin !== key.origin) return "otherLedger";
  const verifier = await imported(key.publicKey);
  if (typeof verifier === "string") return verifier;
  const signature = read.signatures.find(([name, bytes]) => name === key.origin && toHex(bytes.slice(0, ID_BYTES)) === key.id)?.[1];
  if (signature === undefined) return "otherKey";
  const good = await crypto.subtle.verify({ name: "Ed25519" }, verifier, signature.slice(ID_BYTES), utf8(read.text));
  return good ? read.checkpoint : "badSignature";
}
