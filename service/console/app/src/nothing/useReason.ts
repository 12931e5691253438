import type { CallFilter, WhyNoneQuery } from "../api/gql/graphql";
import type { Problem } from "../api/problem";
import { useAnswer } from "../api/useAnswer";
import { useSession } from "../session/SessionContext";
import { WhyNone } from "./documents";

const DAY_MS = 86_400_000;

export type Reason =
  | { readonly why: "waiting" | "noData" | "noMatch" }
  /** `message`: how far back calls are kept, as the service says it; it may be empty. */
  | { readonly why: "outOfRetention"; readonly message: string };

/** Why no call is found by a filter. Sums are refused for a time that is gone; who may not ask for sums is told by the
 * menus, which are refused too, or by the windows. */
export function useReason(filter: CallFilter, refusal: Problem | null): Reason {
  const session = useSession();
  const gone = refusal?.code === "OUT_OF_RETENTION" ? refusal : null;
  const sums = session.mayAsk("costs");
  const facets = !sums && session.mayAsk("facets");
  const windows = !sums && !facets && session.mayAsk("policy");
  const { data, problem, waiting } = useAnswer(WhyNone, { filter, facets, windows }, { wanted: gone === null });
  if (gone !== null) return { why: "outOfRetention", message: gone.message };
  if (problem?.code === "OUT_OF_RETENTION") return { why: "outOfRetention", message: problem.message };
  if (waiting || data === undefined) return { why: "waiting" };
  if (data.calls?.nodes.length === 0) return { why: "noData" };
  return data.policy != null && isGone(data.policy, filter) ? { why: "outOfRetention", message: "" } : { why: "noMatch" };
}

/** Whether a time begins before the longest window of calls. */
function isGone({ windows }: NonNullable<WhyNoneQuery["policy"]>, { startedAt }: CallFilter): boolean {
  const days = Math.max(...windows.filter(({ store }) => store === "CALL").map(({ windowDays }) => windowDays));
  return startedAt?.gte != null && Date.parse(startedAt.gte) < Date.now() - days * DAY_MS;
}
