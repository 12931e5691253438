// urql: pages with its cache, partial answers, and its persisted exchange.
import { Client, cacheExchange, fetchExchange } from "urql";
import { persistedExchange } from "@urql/exchange-persisted";

import { CostsDocument, PageDocument, type PageQuery } from "../gql/graphql";
import { account, fetchNoting, sent, url } from "./service";

type Meta = { __meta__?: { hash: string } };

const persisted = process.argv.includes("--persisted");
const client = new Client({
  url,
  fetch: fetchNoting,
  preferGetMethod: false,
  exchanges: [
    cacheExchange,
    ...(persisted ? [persistedExchange({ generateHash: async (_, document) => (document as Meta).__meta__?.hash ?? "" })] : []),
    fetchExchange,
  ],
});

const filter = { account: { eq: account } };
const pages: PageQuery["calls"][] = [];
let after: string | null = null;
for (let number = 0; number < 3; number++) {
  const { data, error } = await client.query(PageDocument, { filter, first: 5, after }).toPromise();
  if (error) throw error;
  pages.push(data?.calls ?? null);
  after = data?.calls?.pageInfo.endCursor ?? null;
}
const requests = sent.length;
await client.query(PageDocument, { filter, first: 5, after: null }).toPromise();
const cached = sent.length === requests;

// A time that nothing is kept of any more: one of the two root fields fails, and the other is there.
const old = { startedAt: { lt: "2001-01-01T00:00:00Z", gte: "2000-01-01T00:00:00Z" }, tags: [{ key: "team" }] };
const partial = await client.query(CostsDocument, { now: filter, before: old, timeZone: null }).toPromise();

console.log(
  JSON.stringify({
    ids: pages.flatMap((page) => page?.nodes.map((call) => call.id) ?? []),
    cached,
    sent,
    partial: {
      now: partial.data?.now?.totals.length ?? null,
      before: partial.data?.before ?? null,
      codes: partial.error?.graphQLErrors.map((error) => error.extensions["code"]) ?? [],
    },
  }),
);
