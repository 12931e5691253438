import { useMemo } from "react";
import { useAddress } from "../../address/address";
import { useAnswer } from "../../api/useAnswer";
import type { Filter } from "../../filter/filter";
import { useFilter } from "../../filter/useFilter";
import { shareOf, sum } from "../../numbers/decimal";
import { useSession } from "../../session/SessionContext";
import { useRange } from "../../time/RangeContext";
import { useZone } from "../../time/zone";
import { usePages } from "../../parts/Pager";
import { CallsInAll, GroupsOfErrors } from "./documents";
import { errorFilterOf } from "./errorFilter";

export const ORDERS = ["COUNT", "LAST_SEEN", "FIRST_SEEN"] as const;
const PAGE = 50;
const DAY_MS = 86_400_000;

export type Errors = ReturnType<typeof useErrors>;

/** Kinds of errors in the time and filter of the page, and how many calls there were and failed (null: not known). */
export function useErrors() {
  const session = useSession();
  const zone = useZone();
  const [parameters] = useAddress();
  const { period } = useRange();
  const filtered = useFilter();
  const order = ORDERS.find((one) => one === parameters.get("order")) ?? "COUNT";
  const text = JSON.stringify(filtered.filter);
  const errorFilter = useMemo(() => errorFilterOf(JSON.parse(text) as Filter, period), [text, period]);
  const pages = usePages(JSON.stringify([errorFilter, order]));
  const { data, problem, waiting, again } = useAnswer(GroupsOfErrors, {
    filter: errorFilter,
    orderBy: { field: order, direction: "DESC" },
    first: PAGE,
    after: pages.after,
    bucket: Date.parse(period.to) - Date.parse(period.from) <= 4 * DAY_MS ? "HOUR" : "DAY",
    timeZone: zone,
    sample: session.view("ErrorGroup.sampleMessage") !== "DENIED",
  });
  const inAll = useAnswer(CallsInAll, { filter: filtered.callFilter }, { wanted: session.mayAsk("costs") });
  const totals = inAll.data?.costs?.totals;
  const calls = totals === undefined ? null : sum(totals.map((total) => total.calls));
  const failed = totals === undefined ? null : sum(totals.map((total) => total.errors));
  const share = calls === null || failed === null ? null : shareOf(failed, calls);
  return { filtered, errorFilter, order, pages, page: data?.errorGroups, problem, waiting: waiting || inAll.waiting, again, inAll: { calls, failed, share, refusal: inAll.problem } };
}
