/** Bytes as texts, and hashes of bytes, by the browser's own WebCrypto. */

export type Bytes = Uint8Array<ArrayBuffer>;

/** The bytes of canonical base64 (RFC 4648, section 4); null: it is none. */
export function fromBase64(text: string): Bytes | null {
  let binary: string;
  try {
    binary = atob(text);
  } catch {
    return null;
  }
  return btoa(binary) === text ? Uint8Array.from(binary, (one) => one.charCodeAt(0)) : null;
}

export function toHex(bytes: Bytes): string {
  return Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
}

export function joined(...parts: readonly Bytes[]): Bytes {
  const found = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    found.set(part, at);
    at += part.length;
  }
  return found;
}

export function same(one: Bytes, other: Bytes): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text);
}
