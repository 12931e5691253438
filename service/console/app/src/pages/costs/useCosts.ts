import { useMemo } from "react";
import { useAddress } from "../../address/address";
import type { CallFilter } from "../../api/gql/graphql";
import { type Answer, useAnswer } from "../../api/useAnswer";
import { useFilter } from "../../filter/useFilter";
import { useSession } from "../../session/SessionContext";
import type { Session } from "../../session/session";
import { useRange } from "../../time/RangeContext";
import type { Period } from "../../time/range";
import { useZone } from "../../time/zone";
import { DAY, FIELD_NAMES, areOf, governs, groupVariables, narrowed } from "./groups/dimension";
import { CostTags, CostsBefore, CostsByGroup, CostsOverTime } from "./documents";
import { type FigureRow, type Group, currenciesOf, groupsOf } from "./groups/group";
import { type Timeline, timelineOf } from "./timeline/timeline";

const SERIES_MAX = 6;
const HOUR_MS = 3_600_000;
export const BUCKETS = ["QUARTER_HOUR", "HOUR", "DAY", "WEEK", "MONTH"] as const;
type Bucket = (typeof BUCKETS)[number];
const LENGTH_MS: Readonly<Record<Bucket, number>> = { QUARTER_HOUR: HOUR_MS / 4, HOUR: HOUR_MS, DAY: 24 * HOUR_MS, WEEK: 168 * HOUR_MS, MONTH: 720 * HOUR_MS };
const BARS_MAX = 200;
const GROUPS_MAX = 1000;
/** Rows of days: one for each currency. */
const DAYS_MAX = 10_000;
const DAYS: Bucket = "DAY";

/** The widths of bars that a period can be shown in, and the one that reads best. */
export function bucketsOf({ from, to }: Period): { readonly possible: readonly Bucket[]; readonly usual: Bucket } {
  const length = Date.parse(to) - Date.parse(from);
  const possible = BUCKETS.filter((bucket) => bucket === "DAY" || (length / LENGTH_MS[bucket] <= BARS_MAX && length >= LENGTH_MS[bucket]));
  const usual = length <= 5 * HOUR_MS ? "QUARTER_HOUR" : length <= 50 * HOUR_MS ? "HOUR" : length <= 100 * LENGTH_MS.DAY ? "DAY" : length <= 2 * 365 * LENGTH_MS.DAY ? "WEEK" : "MONTH";
  return { possible, usual: possible.includes(usual) ? usual : "DAY" };
}

export interface Costs {
  /** What can be grouped by: fields, and tags that calls carry. */
  readonly dimensions: readonly string[];
  readonly dimension: string;
  readonly bucket: Bucket;
  readonly currencies: readonly string[];
  readonly currency: string | null;
  readonly total: FigureRow | null;
  readonly totals: readonly FigureRow[] | null;
  readonly totalBefore: FigureRow | null;
  readonly groups: readonly Group[];
  readonly models: readonly Group[];
  readonly truncated: boolean;
  readonly timeline: Timeline | null;
  readonly answers: { readonly groups: Answer<unknown>; readonly time: Answer<unknown> };
}

/** What the role sees of the figures. */
function seen(session: Session): { readonly tokens: boolean; readonly derived: boolean } {
  const all = (...fields: string[]) => fields.every((field) => session.view(`CostRow.${field}`) !== "DENIED" && session.view(`CostFigures.${field}`) !== "DENIED");
  return {
    tokens: all("inputTokens", "outputTokens", "cacheReadTokens", "tokenEfficiency"),
    derived: all("averageCost", "costPerThousandOutputTokens", "wastedOnFailures", "estimatedShare", "callsWithoutAmount"),
  };
}

const ofCurrency = (totals: readonly FigureRow[] | undefined, currency: string | null) =>
  totals?.find((total) => (total.amount?.currency ?? null) === currency) ?? null;

/** What the address groups by, of what the role may group by. */
function useGrouping(filter: CallFilter) {
  const session = useSession();
  const [parameters] = useAddress();
  const { period } = useRange();
  const tags = useAnswer(CostTags, { filter }, { wanted: session.mayFilter("Call.tags") && session.mayAsk("facets") });
  const fields = FIELD_NAMES.filter((name) => session.mayFilter(governs(name)));
  const [first, ...others] = fields;
  const dimensions = [...(first === undefined ? [] : [first]), DAY, ...others, ...(tags.data?.facets?.tags ?? []).map(({ key }) => `tag.${key}`)];
  const asked = parameters.get("by") ?? "";
  const taken = dimensions.includes(asked) || (/^tag\..{1,100}$/.test(asked) && session.mayFilter("Call.tags"));
  const dimension = taken ? asked : (fields[0] ?? "model");
  const { possible, usual } = bucketsOf(period);
  const bucket = possible.find((one) => one === parameters.get("bucket")) ?? usual;
  return { fields, dimensions, dimension, bucket };
}

type Grouping = ReturnType<typeof useGrouping>;

/** The groups of the dimension and the models, in the currency that is shown. */
function useGroups(filter: CallFilter, { fields, dimension }: Grouping, figures: ReturnType<typeof seen>) {
  const session = useSession();
  const zone = useZone();
  const [parameters] = useAddress();
  const models = dimension !== "model" && figures.tokens && session.mayFilter("Call.model");
  const answer = useAnswer(
    CostsByGroup,
    { filter, ...groupVariables(dimension), ...(dimension === DAY && { bucket: DAYS, timeZone: zone }), first: dimension === DAY ? DAYS_MAX : GROUPS_MAX, ...figures, models },
    { wanted: session.view("CostRow.amount") !== "DENIED" && fields.length > 0 },
  );
  const { groups: answered, models: byModel } = answer.data ?? {};
  const report = answered && areOf(answered.nodes, dimension) ? answered : null;
  const currencies = useMemo(() => currenciesOf(report?.totals ?? []), [report]);
  const currency = currencies.find((one) => one === parameters.get("money")) ?? currencies[0] ?? null;
  const groups = useMemo(() => (report && currency !== null ? groupsOf(report.nodes, dimension, currency) : []), [report, dimension, currency]);
  const others = useMemo(() => (byModel && currency !== null ? groupsOf(byModel.nodes, "model", currency) : []), [byModel, currency]);
  return { answer, report, currencies, currency, groups, models: dimension === "model" ? groups : others };
}

/** The dearest groups over time, all together, and the period before. */
function useTimeline(filter: CallFilter, { dimension, bucket }: Grouping, grouped: ReturnType<typeof useGroups>, figures: ReturnType<typeof seen>) {
  const zone = useZone();
  const { previous } = useRange();
  const { currency, groups } = grouped;
  // What was not reported stands with the others: a filter names values.
  const named = dimension === DAY ? [] : groups.filter(({ value }) => value !== "").slice(0, SERIES_MAX);
  const top = JSON.stringify(named.map(({ value }) => value));
  const narrow = useMemo(() => narrowed(filter, dimension, JSON.parse(top) as string[]), [filter, dimension, top]);
  const past = useMemo(() => ({ ...filter, startedAt: { gte: previous.from, lt: previous.to } }), [filter, previous]);
  const wanted = currency !== null;
  const answer = useAnswer(CostsOverTime, { filter, top: narrow, ...groupVariables(dimension), bucket, timeZone: zone }, { wanted });
  const was = useAnswer(CostsBefore, { filter: past, bucket, timeZone: zone, ...figures }, { wanted });
  const { all, shown } = answer.data ?? {};
  const totalBefore = ofCurrency(was.data?.costs?.totals, currency);
  const before = totalBefore === null ? null : was.data?.costs; // of nothing before there is nothing to compare with
  const timeline = useMemo(
    () =>
      all && currency !== null && (dimension === DAY ? !shown : shown && areOf(shown.nodes, dimension))
        ? timelineOf(all.nodes, shown?.nodes ?? [], before?.nodes ?? null, { name: dimension, values: JSON.parse(top) as string[], currency })
        : null,
    [all, shown, before, dimension, top, currency],
  );
  return { answer, timeline, totalBefore };
}

/** Costs of the time and filter of the page, grouped as the address says. */
export function useCosts(): Costs {
  const session = useSession();
  const { callFilter: filter } = useFilter();
  const figures = seen(session);
  const grouping = useGrouping(filter);
  const grouped = useGroups(filter, grouping, figures);
  const timed = useTimeline(filter, grouping, grouped, figures);
  const { report, currency } = grouped;
  return {
    dimensions: grouping.dimensions,
    dimension: grouping.dimension,
    bucket: grouping.bucket,
    currencies: grouped.currencies,
    currency,
    total: ofCurrency(report?.totals, currency),
    totals: report?.totals ?? null,
    totalBefore: timed.totalBefore,
    groups: grouped.groups,
    models: grouped.models,
    truncated: report?.pageInfo.hasNextPage ?? false,
    timeline: timed.timeline,
    answers: { groups: grouped.answer, time: timed.answer },
  };
}
