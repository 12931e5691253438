// Relay: a pagination container over `calls`, and one row of it asked again by `node`.
import { Suspense } from "react";
import { create, act } from "react-test-renderer";
import { RelayEnvironmentProvider, useLazyLoadQuery, usePaginationFragment, useRefetchableFragment } from "react-relay";
import { Environment, Network, RecordSource, Store } from "relay-runtime";

import PageQuery from "./__generated__/documentsPageQuery.graphql";
import CallsFragment from "./__generated__/documentsCalls_query.graphql";
import CallFragment from "./__generated__/documentsCall_call.graphql";

globalThis.IS_REACT_ACT_ENVIRONMENT = true;

const sent = [];

async function ask(operation, variables) {
  sent.push(operation.name);
  const response = await fetch(`${process.env.CALLEDGER_URL}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${process.env.CALLEDGER_KEY}` },
    body: JSON.stringify({ documentId: operation.id, variables }),
  });
  return response.json();
}

const environment = new Environment({ network: Network.create(ask), store: new Store(new RecordSource()) });
let list;
const rows = new Map();

function Row({ call }) {
  const [data, refetch] = useRefetchableFragment(CallFragment, call);
  rows.set(data.id, { data, refetch });
  return data.model;
}

function Calls({ query }) {
  list = usePaginationFragment(CallsFragment, query);
  return list.data.calls.edges.map(({ node }) => <Row key={node.id} call={node} />);
}

function Page() {
  const query = useLazyLoadQuery(PageQuery, { filter: { account: { eq: "acme" } }, count: 5 });
  return <Calls query={query} />;
}

async function until(done) {
  for (let turn = 0; turn < 1000; turn++) {
    await act(async () => new Promise((resolve) => setTimeout(resolve, 10)));
    if (done()) return;
  }
  throw new Error("it did not come");
}

await act(async () =>
  create(
    <RelayEnvironmentProvider environment={environment}>
      <Suspense fallback="">
        <Page />
      </Suspense>
    </RelayEnvironmentProvider>,
  ),
);
await until(() => list !== undefined);
const lengths = [list.data.calls.edges.length];
for (let number = 0; number < 2; number++) {
  await act(async () => list.loadNext(5));
  await until(() => list.data.calls.edges.length > lengths.at(-1) && !list.isLoadingNext);
  lengths.push(list.data.calls.edges.length);
}
const ids = list.data.calls.edges.map(({ node }) => node.id);
const before = sent.length;
await act(async () => rows.get(ids[0]).refetch({}, { fetchPolicy: "network-only" }));
await until(() => sent.length > before);
await until(() => rows.get(ids[0]).data.model !== undefined);

console.log(JSON.stringify({ ids, lengths, hasNext: list.hasNext, sent, first: rows.get(ids[0]).data }));
process.exit(0); // React's scheduler would keep the process
