// The service that a test has started, and what it is asked by every client.
function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

export const url = `${given("CALLEDGER_URL")}/graphql`;
export const authorization = `Bearer ${given("CALLEDGER_KEY")}`;
export const account = "acme";

/** What a client has sent: the method, and which parts of a request. */
export const sent: string[] = [];

/** `fetch` with the key, which writes down what it sends. */
export const fetchNoting: typeof fetch = (input, init) => {
  const body = init?.body ? Object.keys(JSON.parse(String(init.body))) : [...new URL(String(input)).searchParams.keys()];
  sent.push([init?.method ?? "GET", ...body.filter((part) => part !== "operationName").sort()].join(" "));
  return fetch(input, { ...init, headers: { ...(init?.headers as Record<string, string>), authorization } });
};
