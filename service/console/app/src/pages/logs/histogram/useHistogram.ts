import { useMemo } from "react";
import type { CallFilter, TimeBucket } from "../../../api/gql/graphql";
import type { Problem } from "../../../api/problem";
import { useAnswer } from "../../../api/useAnswer";
import { useZone } from "../../../time/zone";
import { type Bars, barsOf } from "./bars";
import { Histogram } from "../documents";
import { useSession } from "../../../session/SessionContext";

const HOUR_MS = 3_600_000;

/** The width of the bars: some dozens of them over the time. */
function bucketOf({ startedAt }: CallFilter): TimeBucket {
  const hours = (Date.parse(startedAt?.lt ?? "") - Date.parse(startedAt?.gte ?? "")) / HOUR_MS;
  if (hours <= 2) return "MINUTE";
  if (hours <= 36) return "QUARTER_HOUR";
  if (hours <= 24 * 8) return "HOUR";
  return hours <= 24 * 120 ? "DAY" : "WEEK";
}

export interface Counted {
  readonly bars: Bars | null;
  /** Null: not answered yet. */
  readonly totals: readonly { readonly calls: string; readonly errors: string; readonly inputTokens?: string; readonly outputTokens?: string; readonly amount?: { amount: string; currency: string } | null }[] | null;
  readonly problem: Problem | null;
  readonly waiting: boolean;
  again(): void;
}

/** Calls and failures over the time of a filter, and in all. `late`: another filter is to come. */
export function useHistogram(filter: CallFilter, late: boolean): Counted {
  const zone = useZone();
  const session = useSession();
  const tokens = session.view("CostFigures.inputTokens") !== "DENIED" && session.view("CostFigures.outputTokens") !== "DENIED";
  const { data, problem, waiting, again } = useAnswer(
    Histogram,
    { filter, bucket: bucketOf(filter), timeZone: zone, tokens },
    { wanted: session.mayAsk("costs") },
  );
  const nodes = data?.costs?.nodes;
  const bars = useMemo(() => (nodes ? barsOf(nodes) : null), [nodes]);
  return { bars, totals: data?.costs?.totals ?? null, problem, waiting: waiting || late, again };
}
