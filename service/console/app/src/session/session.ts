/** Who is signed in: a credential, and what it may. The credential is in memory or, by choice, in `sessionStorage` until
 * the tab is closed; never in an address, and nowhere else. */

import type { Client } from "urql";
import { clientOf } from "../api/client";
import { graphql } from "../api/gql";
import type { Role, View, WhoQuery } from "../api/gql/graphql";
import { type Problem, firstProblem, isSignedOut } from "../api/problem";

export interface Session {
  readonly client: Client;
  readonly credential: string;
  /** A token ends by itself, and manages no keys. */
  readonly kind: "key" | "token";
  readonly role: Role;
  /** Null: every account. */
  readonly accounts: readonly string[] | null;
  readonly expiresAt: string | null;
  /** Whether a root field may be asked. */
  mayAsk(root: string): boolean;
  /** What is seen of a field, such as `Call.user`. */
  view(field: string): View;
  /** Whether a field may be filtered by. */
  mayFilter(field: string): boolean;
}

export interface SignIn {
  readonly key: string;
  /** Ask for a session token, and forget the key. */
  readonly exchange: boolean;
  /** Keep the credential until the tab is closed, so that it outlives a reload. */
  readonly keep: boolean;
}

const Who = graphql(`
  query Who {
    viewer {
      role
      accounts
      expiresAt
      rootFields
      fields {
        field
        view
        filterable
      }
    }
  }
`);

const Exchange = graphql(`
  mutation Exchange($everyAccount: Boolean!) {
    createSessionToken(input: { everyAccount: $everyAccount, minutes: 60 }) {
      token
      expiresAt
    }
  }
`);

const KEPT = "calledger.credential";

/** Signs in with a key, or says why not. */
export async function signIn({ key, exchange, keep }: SignIn, onSignedOut: () => void): Promise<Session | Problem> {
  let session = await opened(key, onSignedOut);
  if ("message" in session) return session;
  const token = exchange ? await exchanged(session) : null;
  if (token !== null) {
    if (typeof token !== "string") return token;
    session = await opened(token, onSignedOut);
    if ("message" in session) return session;
  }
  if (keep) keepCredential(session.credential);
  return session;
}

/** The session that this tab was left with; null: it has kept none, or one that has ended. A service that does not answer
 * says nothing of it: it is kept, and can be asked for again. */
export async function resumed(onSignedOut: () => void): Promise<Session | Problem | null> {
  const kept = keptCredential();
  if (kept === null) return null;
  const session = await opened(kept, onSignedOut);
  return "message" in session && isSignedOut(session) ? null : session;
}

/** Forgets what the tab has kept. */
export function forgetCredential(): void {
  try {
    sessionStorage.removeItem(KEPT);
  } catch {
    // Nothing can be stored, so nothing was.
  }
}

function keepCredential(credential: string): void {
  try {
    sessionStorage.setItem(KEPT, credential);
  } catch {
    // It stays in memory.
  }
}

function keptCredential(): string | null {
  try {
    return sessionStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

async function opened(credential: string, onSignedOut: () => void): Promise<Session | Problem> {
  const client = clientOf(credential, onSignedOut);
  const { data, error } = await client.query(Who, {}).toPromise();
  const problem = firstProblem(error);
  if (problem !== null) return problem;
  if (!data?.viewer) return { code: "INTERNAL", message: "", requestId: null };
  return sessionOf(client, credential, data.viewer);
}

function sessionOf(client: Client, credential: string, viewer: NonNullable<WhoQuery["viewer"]>): Session {
  const roots = new Set(viewer.rootFields);
  const fields = new Map(viewer.fields.map((field) => [field.field, field]));
  return {
    client,
    credential,
    kind: credential.startsWith("cl_") ? "key" : "token",
    role: viewer.role,
    accounts: viewer.accounts ?? null,
    expiresAt: viewer.expiresAt ?? null,
    mayAsk: (root) => roots.has(root),
    view: (field) => fields.get(field)?.view ?? "DENIED",
    mayFilter: (field) => fields.get(field)?.filterable ?? false,
  };
}

/** A session token in the place of the key, for the same accounts; null: the role makes no tokens, or the key is bound to
 * more accounts than a token can be. */
async function exchanged(session: Session): Promise<string | Problem | null> {
  if (!session.mayAsk("createSessionToken")) return null;
  const { data, error } = await session.client.mutation(Exchange, { everyAccount: session.accounts === null }).toPromise();
  const problem = firstProblem(error);
  if (problem !== null && problem.code !== "BAD_USER_INPUT") return problem;
  return data?.createSessionToken?.token ?? null;
}
