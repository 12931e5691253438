// Signs in with a key, and starts GraphiQL. Nothing is kept beyond the tab: neither the key nor what was asked.
"use strict";
(() => {
  const KEY = "calledger:key";
  const form = document.getElementById("sign-in");
  const field = document.getElementById("key");
  const said = document.getElementById("said");
  const signOut = document.getElementById("sign-out");
  const first = `{
  viewer { role accounts expiresAt }
}
`;

  async function ask(body) {
    const answer = await fetch("graphql", {
      method: "POST",
      credentials: "omit",
      cache: "no-store",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${sessionStorage.getItem(KEY)}` },
      body: JSON.stringify(body),
    });
    if (answer.status === 401) leave("This key or token is not valid here, or not any more.");
    return answer.json();
  }

  function leave(why) {
    sessionStorage.removeItem(KEY);
    sessionStorage.setItem("calledger:said", why);
    location.reload();
  }

  function start() {
    form.hidden = true;
    signOut.hidden = false;
    const fetcher = ({ query, variables, operationName }) => ask({ query, variables, operationName });
    // GraphiQL would keep what was asked in localStorage, for ever, values of variables too.
    const options = { fetcher, storage: sessionStorage, isHeadersEditorEnabled: false, defaultQuery: first };
    ReactDOM.createRoot(document.getElementById("graphiql")).render(React.createElement(GraphiQL, options));
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, field.value.trim());
    field.value = "";
    start();
  });
  signOut.addEventListener("click", () => {
    sessionStorage.clear();
    location.reload();
  });
  const why = sessionStorage.getItem("calledger:said");
  sessionStorage.removeItem("calledger:said");
  if (why) said.textContent = why;
  if (sessionStorage.getItem(KEY)) start();
  // GraphiQL may have written the last query after somebody signed out.
  else sessionStorage.clear();
})();
