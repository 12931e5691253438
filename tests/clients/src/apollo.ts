// Apollo Client: pages, partial answers with errorPolicy "all", and its persisted-queries link.
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";

import { CostsDocument, PageDocument, type PageQuery, type PageQueryVariables } from "../gql/graphql";
import { account, fetchNoting, sent, url } from "./service";

type Meta = { __meta__?: { hash: string } };

const persisted = process.argv.includes("--persisted");
const http = new HttpLink({ uri: url, fetch: fetchNoting });
const link = persisted
  ? ApolloLink.from([new PersistedQueryLink({ generateHash: (document) => (document as Meta).__meta__?.hash ?? "" }), http])
  : http;
const client = new ApolloClient({ link, cache: new InMemoryCache() });

const filter = { account: { eq: account } };
const pages: PageQuery["calls"][] = [];
let after: string | null = null;
for (let number = 0; number < 3; number++) {
  const variables: PageQueryVariables = { filter, first: 5, after };
  const { data }: { data?: PageQuery | undefined } = await client.query({ query: PageDocument, variables });
  pages.push(data?.calls ?? null);
  after = data?.calls?.pageInfo.endCursor ?? null;
}
const requests = sent.length;
await client.query({ query: PageDocument, variables: { filter, first: 5, after: null } });
const cached = sent.length === requests;

const old = { startedAt: { lt: "2001-01-01T00:00:00Z", gte: "2000-01-01T00:00:00Z" }, tags: [{ key: "team" }] };
const partial = await client.query({
  query: CostsDocument,
  variables: { now: filter, before: old, timeZone: null },
  errorPolicy: "all",
});
const errors = CombinedGraphQLErrors.is(partial.error) ? partial.error.errors : [];

console.log(
  JSON.stringify({
    ids: pages.flatMap((page) => page?.nodes.map((call) => call.id) ?? []),
    cached,
    sent,
    partial: {
      now: partial.data?.now?.totals.length ?? null,
      before: partial.data?.before ?? null,
      codes: errors.map((error) => error.extensions?.["code"]),
    },
  }),
);
