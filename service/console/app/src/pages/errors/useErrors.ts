import { useMemo } from "react";
import { useAddress } from "../../address/address";
import type { CallFilter, GroupsOfErrorsQueryVariables } from "../../api/gql/graphql";
import { useAnswer } from "../../api/useAnswer";
import { type Filter, toCallFilter } from "../../filter/filter";
import { useFilter } from "../../filter/useFilter";
import { shareOf, sum } from "../../numbers/decimal";
import { useSession } from "../../session/SessionContext";
import { useRange } from "../../time/RangeContext";
import { useZone } from "../../time/zone";
import { usePages } from "../../parts/Pager";
import type { ErrorGroup } from "./GroupTable";
import { CallsInAll, GroupsOfErrors } from "./documents";
import { errorFilterOf, ofEvery } from "./errorFilter";

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
  const asked = {
    filter: errorFilter,
    orderBy: { field: order, direction: "DESC" },
    bucket: Date.parse(period.to) - Date.parse(period.from) <= 4 * DAY_MS ? "HOUR" : "DAY",
    timeZone: zone,
    sample: session.view("ErrorGroup.sampleMessage") !== "DENIED",
  } as const;
  const { data, problem, waiting, again } = useAnswer(GroupsOfErrors, { ...asked, first: PAGE, after: pages.after });
  const open = useOpened(asked, data?.errorGroups?.nodes);
  const { waiting: counting, ...inAll } = useInAll(filtered.filter, filtered.callFilter);
  return { filtered, errorFilter, order, pages, open, page: data?.errorGroups, problem, waiting: waiting || counting, again, inAll };
}

/** How many calls the filter finds and how many of them failed, and the calls that they are a share of, whatever the filter
 * says of errors. Null: not known. */
function useInAll(filter: Filter, callFilter: CallFilter) {
  const session = useSession();
  const { period } = useRange();
  const every = toCallFilter(ofEvery(filter), period);
  const apart = JSON.stringify(every) !== JSON.stringify(callFilter);
  const { data, problem, waiting } = useAnswer(CallsInAll, { filter: callFilter, every, apart }, { wanted: session.mayAsk("costs") });
  const totals = data?.costs?.totals;
  const summed = (rows: readonly { readonly calls: string }[] | undefined) => (rows === undefined ? null : sum(rows.map((row) => row.calls)));
  const calls = summed(apart ? data?.every?.totals : totals);
  const failed = totals === undefined ? null : sum(totals.map((total) => total.errors));
  const share = calls === null || failed === null ? null : shareOf(failed, calls);
  return { found: summed(totals), calls, failed, share, refusal: problem, waiting };
}

/** The kind that the address opens; a link may name one that is on another page of the list. */
function useOpened(asked: GroupsOfErrorsQueryVariables, listed: readonly ErrorGroup[] | undefined): ErrorGroup | undefined {
  const [parameters] = useAddress();
  const fingerprint = parameters.get("error");
  const isIt = (group: ErrorGroup) => group.fingerprint === fingerprint;
  const found = listed?.find(isIt);
  const { data } = useAnswer(
    GroupsOfErrors,
    { ...asked, filter: { ...asked.filter, fingerprint: { eq: fingerprint ?? "" } }, first: 1 },
    { wanted: fingerprint !== null && listed !== undefined && found === undefined },
  );
  return found ?? data?.errorGroups?.nodes.find(isIt);
}
