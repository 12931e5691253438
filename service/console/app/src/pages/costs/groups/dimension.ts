/** What costs are grouped by: a field of calls, or a tag (`tag.team`). The same texts are parameters of the address. */

import type { Change } from "../../../address/search";
import type { CallFilter, CostDimension } from "../../../api/gql/graphql";
import { CHOICE_FIELDS } from "../../../filter/fields";
import type { Period } from "../../../time/range";

const DIMENSIONS = {
  model: "MODEL",
  provider: "PROVIDER",
  account: "ACCOUNT",
  apiKey: "API_KEY",
  operation: "OPERATION",
  servedModel: "SERVED_MODEL",
  status: "STATUS",
  errorType: "ERROR_TYPE",
  user: "USER",
} as const satisfies Readonly<Record<string, CostDimension>>;

type FieldName = keyof typeof DIMENSIONS;

/** Costs of each day, which are grouped by no field of calls. */
export const DAY = "day";

export const FIELD_NAMES = Object.keys(DIMENSIONS) as FieldName[];
const TAG = /^tag\.(.{1,100})$/;

/** What the address of the calls behind a part of the page goes without; the filter stays. */
export const WITHOUT = { by: null, across: null, bucket: null, money: null } as const;

export interface Key {
  readonly currency?: string | null;
  readonly tags?: readonly { readonly key: string; readonly value?: string | null }[] | null;
  readonly [field: string]: unknown;
}

/** The field of calls that a role must be able to filter by. */
export function governs(name: string): string {
  if (TAG.test(name)) return "Call.tags";
  return CHOICE_FIELDS.find((field) => field.name === name)?.governs ?? "";
}

/** Variables of the documents of the page: what to group by, and the one part of the key to answer. */
export function groupVariables(name: string) {
  const tag = TAG.exec(name)?.[1];
  return {
    groupBy: tag === undefined && name !== DAY ? [DIMENSIONS[name as FieldName]] : [],
    groupByTags: tag === undefined ? [] : [tag],
    ...(Object.fromEntries(FIELD_NAMES.map((field) => [field, field === name])) as Record<FieldName, boolean>),
    tags: tag !== undefined,
    day: name === DAY,
  };
}

/** The same for two of them. */
export function bothVariables(one: string, other: string) {
  const [first, second] = [groupVariables(one), groupVariables(other)];
  return {
    groupBy: [...first.groupBy, ...second.groupBy],
    groupByTags: [...first.groupByTags, ...second.groupByTags],
    ...(Object.fromEntries(FIELD_NAMES.map((field) => [field, first[field] || second[field]])) as Record<FieldName, boolean>),
    tags: first.tags || second.tags,
    day: first.day || second.day,
  };
}

/** The value of a row in its dimension; the empty text: not reported. */
export function valueOf(key: Key, name: string): string {
  const tag = TAG.exec(name)?.[1];
  if (tag !== undefined) return key.tags?.find((one) => one.key === tag)?.value ?? "";
  const value = key[name === DAY ? "bucketStart" : name];
  return typeof value === "string" ? value : "";
}

/** Whether rows are grouped by the dimension: those of the one before are there until the next are. */
export function areOf(rows: readonly { readonly key: Key }[], name: string): boolean {
  const tag = TAG.exec(name)?.[1];
  const part = name === DAY ? "bucketStart" : name;
  return rows.every(({ key }) => (tag === undefined ? part in key : key.tags?.some((one) => one.key === tag) ?? false));
}

/** The filter with these values of the dimension alone. */
export function narrowed(filter: CallFilter, name: string, values: readonly string[]): CallFilter {
  const tag = TAG.exec(name)?.[1];
  if (tag !== undefined) return { and: [filter, { tags: [{ key: tag, value: { in: [...values] } }] }] };
  if (name === DAY) return filter;
  if (name === "user") return { and: [filter, { user: { pseudonym: [...values] } }] };
  return { and: [filter, { [name]: { in: values } }] };
}

/** What leads to the calls of a part of a period: from bucket to bucket, within the period. */
export function timeOf(from: string | undefined, to: string | undefined, period: Period): Change {
  if (from === undefined || to === undefined) return {};
  const moment = (of: number) => new Date(of).toISOString();
  return {
    range: null,
    from: moment(Math.max(Date.parse(from), Date.parse(period.from))),
    to: moment(Math.min(Date.parse(to), Date.parse(period.to))),
  };
}

/** Whether the list of calls can be filtered by a value: one that carries no tag is not found by it. */
export function linkable(name: string, value: string): boolean {
  return value !== "" || (!TAG.test(name) && name !== "status");
}
