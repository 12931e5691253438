/** Who is signed in: a credential, and what it may. The credential is in memory or, by choice, in `sessionStorage` until
 * the tab is closed; never in an address, and nowhere else. */

import type { Client } from "urql";
import { clientOf } from "../api/client";
import { graphql } from "../api/gql";
import type { Role, View, WhoQuery } from "../api/gql/graphql";
import { type Problem, firstProblem } from "../api/problem";

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

const AccountNames = graphql(`
  query AccountNames {
    facets(first: 51) {
      accounts {
        value
      }
    }
  }
`);

const Exchange = graphql(`
  mutation Exchange($accounts: [String!]) {
    createSessionToken(input: { accounts: $accounts, minutes: 60 }) {
      token
      expiresAt
    }
  }
`);

const KEPT = "calledger.credential";
const ACCOUNTS_MAX = 50;

/** Signs in with a key, or says why not. */
export async function signIn({ key, exchange, keep }: SignIn, onSignedOut: () => void): Promise<Session | Problem> {
  let session = await opened(key, onSignedOut);
  if ("message" in session) return session;
  const token = exchange ? await exchanged(session) : null;
  if (token !== null) {
    session = await opened(token, onSignedOut);
    if ("message" in session) return session;
  }
  if (keep) keepCredential(session.credential);
  return session;
}

/** The session that this tab was left with, if it has kept one that is still good. */
export async function resumed(onSignedOut: () => void): Promise<Session | null> {
  const kept = keptCredential();
  if (kept === null) return null;
  const session = await opened(kept, onSignedOut);
  if ("message" in session) {
    forgetCredential();
    return null;
  }
  return session;
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

/** A session token in the place of the key; null where there can be none: the role makes no tokens, or the key is for
 * every account and there are too many of them to name. */
async function exchanged(session: Session): Promise<string | null> {
  if (!session.mayAsk("createSessionToken")) return null;
  let accounts: string[] | null = null;
  if (session.accounts === null) {
    const { data } = await session.client.query(AccountNames, {}).toPromise();
    accounts = (data?.facets?.accounts ?? []).flatMap(({ value }) => value ?? []);
    if (accounts.length === 0 || accounts.length > ACCOUNTS_MAX) return null;
  }
  const { data } = await session.client.mutation(Exchange, { accounts }).toPromise();
  return data?.createSessionToken?.token ?? null;
}
