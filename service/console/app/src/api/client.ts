import { Client, fetchExchange, mapExchange } from "urql";
import { GRAPHQL_URL } from "../address/address";
import { firstProblem, isSignedOut } from "./problem";

/** A client that asks with a credential. Nothing is cached: figures are those of the moment at which they are asked. */
export function clientOf(credential: string, onSignedOut: () => void): Client {
  return new Client({
    url: GRAPHQL_URL,
    preferGetMethod: false,
    requestPolicy: "network-only",
    fetchOptions: { headers: { authorization: `Bearer ${credential}` }, credentials: "omit" },
    exchanges: [
      mapExchange({
        onError(error) {
          const problem = firstProblem(error);
          if (problem !== null && isSignedOut(problem)) onSignedOut();
        },
      }),
      fetchExchange,
    ],
  });
}
