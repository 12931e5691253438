import type { OneCallQuery, OneCallQueryVariables } from "../../../api/gql/graphql";
import { type Answer, useAnswer } from "../../../api/useAnswer";
import { useSession } from "../../../session/SessionContext";
import type { Session } from "../../../session/session";
import { FLAGGED, OneCall } from "./documents";

export type Call = NonNullable<OneCallQuery["call"]>;
export type CallError = NonNullable<Call["error"]>;

/** Which of the fields the role sees. */
export function seenOf<Name extends string>(session: Session, names: readonly Name[]): Record<Name, boolean> {
  return Object.fromEntries(names.map((name) => [name, session.view(`Call.${name}`) !== "DENIED"])) as Record<Name, boolean>;
}

/** One call, as far as the role sees it. */
export function useCall(id: string): Answer<OneCallQuery> {
  const session = useSession();
  return useAnswer(OneCall, { id, ...seenOf(session, FLAGGED) } as OneCallQueryVariables);
}
