// A log page: a list with a filter, older calls by keyset pages, and how many new ones there are. No framework.
//
//     CALLEDGER_CORS_ORIGINS=http://127.0.0.1:5173 calledger serve --demo
//     npm install && npm start        # then http://127.0.0.1:5173, with the viewer's key that `serve` has printed
//
// The token stays in this page's memory. In earnest it is a session token that your backend asks for (docs/frontends.md).
import { Client, fetchExchange, gql, subscriptionExchange, type CombinedError } from "@urql/core";
import { createClient } from "graphql-ws";

type Call = {
  id: string;
  startedAt: string;
  account: string;
  model: string;
  status: string;
  amount: { amount: string; currency: string } | null;
};
type Page = { calls: { nodes: Call[]; pageInfo: { endCursor: string | null; hasNextPage: boolean } } | null };
type Filter = { status?: { eq: string } };

const PAGE = gql<Page, { filter: Filter; after: string | null }>`
  query Page($filter: CallFilter, $after: String) {
    calls(filter: $filter, first: 50, after: $after) {
      nodes { id startedAt account model status amount { amount currency } }
      pageInfo { endCursor hasNextPage }
    }
  }
`;
const TAIL = gql<{ callRecorded: { id: string } }, { filter: Filter }>`
  subscription Tail($filter: CallFilter) {
    callRecorded(filter: $filter) { id }
  }
`;

const part = <Kind extends HTMLElement>(id: string) => document.getElementById(id) as Kind;
const older = part<HTMLButtonElement>("older");
const news = part<HTMLButtonElement>("new");
let stop = () => {};

function connected(service: string, token: string): { client: Client; close: () => void } {
  const authorization = `Bearer ${token}`;
  const url = new URL("/graphql", service);
  // A browser sets no headers on a WebSocket: the token is in its first message.
  const socket = createClient({
    url: url.href.replace(/^http/, "ws"),
    connectionParams: { authorization },
    shouldRetry: () => true,
  });
  const client = new Client({
    url: url.href,
    preferGetMethod: false,
    fetchOptions: { headers: { authorization } },
    exchanges: [
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query = "", variables }) => ({
          subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables: variables ?? {} }, sink) }),
        }),
      }),
    ],
  });
  return { client, close: () => void socket.dispose() };
}

function row(call: Call): HTMLTableRowElement {
  const made = document.createElement("tr");
  const amount = call.amount ? `${call.amount.amount} ${call.amount.currency}` : "";
  for (const text of [new Date(call.startedAt).toLocaleString(), call.account, call.model, call.status, amount]) {
    made.insertCell().textContent = text;
  }
  return made;
}

function say(error: CombinedError | undefined): void {
  const [first] = error?.graphQLErrors ?? [];
  const code = first?.extensions["code"];
  part("problem").textContent = error ? `${code ?? "no answer"}: ${first?.message ?? error.message}` : "";
}

function show(service: string, token: string, filter: Filter): void {
  stop();
  const { client, close } = connected(service, token);
  let after: string | null = null;
  let count = 0;

  const load = async () => {
    older.disabled = true;
    const { data, error } = await client.query(PAGE, { filter, after }, { requestPolicy: "network-only" });
    say(error);
    part("calls").append(...(data?.calls?.nodes ?? []).map(row));
    after = data?.calls?.pageInfo.endCursor ?? after;
    older.hidden = !data?.calls?.pageInfo.hasNextPage;
    older.disabled = false;
  };
  const tail = client.subscription(TAIL, { filter }).subscribe(({ data, error }) => {
    say(error);
    count += data ? 1 : 0;
    news.textContent = `${count} new: show`;
    news.hidden = count === 0;
  });

  stop = () => {
    tail.unsubscribe();
    close();
  };
  part("calls").replaceChildren();
  news.hidden = older.hidden = true;
  older.onclick = load;
  news.onclick = () => show(service, token, filter);
  void load();
}

part<HTMLFormElement>("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = new FormData(event.currentTarget as HTMLFormElement);
  const status = String(given.get("status"));
  show(String(given.get("service")), String(given.get("token")), status ? { status: { eq: status } } : {});
});
