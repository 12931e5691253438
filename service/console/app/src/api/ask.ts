import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import type { AnyVariables, Client, OperationResult } from "urql";

/** Asks once. A signal that ends takes the request back; nothing is answered then. */
export function ask<Data, Variables extends AnyVariables>(
  client: Client,
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  signal: AbortSignal,
): Promise<OperationResult<Data, Variables>> {
  return new Promise((resolve) => {
    const { unsubscribe } = client.query<Data, Variables>(document, variables).subscribe((result) => {
      resolve(result);
      // After this one: the subscription may answer before it is there.
      queueMicrotask(() => unsubscribe());
    });
    signal.addEventListener("abort", () => unsubscribe(), { once: true });
  });
}
