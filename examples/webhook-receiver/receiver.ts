// Take what webhooks send, each event once, with Node's own modules alone:
//
//     npx tsc -p . && CALLEDGER_WEBHOOK_SECRET=whsec_... node receiver.js 8791
//
// While a secret is replaced, give both, with a blank between. A server in front of this program speaks TLS.

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

type Event = { type: string; timestamp: string; data: unknown };

const TOLERANCE_S = 300;
const LENGTH_MAX = 16 * 2 ** 20;

/** Whether the holder of `secret` signed these bytes in the last five minutes (Standard Webhooks 1.0). */
export function verified(secret: string, headers: IncomingHttpHeaders, body: Buffer): boolean {
  const moment = String(headers["webhook-timestamp"]);
  if (!/^\d+$/.test(moment) || Math.abs(Date.now() / 1000 - Number(moment)) > TOLERANCE_S) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const wanted = createHmac("sha256", key).update(`${headers["webhook-id"]}.${moment}.`).update(body).digest();
  return String(headers["webhook-signature"]).split(" ").some((signature) => {
    const [version, text] = signature.split(",");
    const given = Buffer.from(text ?? "", "base64");
    return version === "v1" && given.length === wanted.length && timingSafeEqual(given, wanted);
  });
}

async function bytes(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request) {
    length += part.length;
    if (length > LENGTH_MAX) throw new Error("the body is too long");
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Yours: write it down under its id before this returns, and leave out what you have. */
async function store(id: string, event: Event): Promise<void> {
  if (seen.has(id)) return;
  seen.add(id);
  console.log(JSON.stringify({ id, ...event }));
}

const seen = new Set<string>();
const secrets = (process.env.CALLEDGER_WEBHOOK_SECRET ?? "").split(" ");

const server = createServer(async (request, response) => {
  try {
    const body = await bytes(request);
    if (!secrets.some((secret) => verified(secret, request.headers, body))) {
      response.writeHead(401).end();
      return;
    }
    await store(String(request.headers["webhook-id"]), JSON.parse(body.toString()));
    response.writeHead(204).end();
  } catch {
    response.writeHead(500).end(); // it comes again
  }
});
server.listen(Number(process.argv[2] ?? 8791), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});
