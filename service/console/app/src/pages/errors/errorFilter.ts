/** What the filter of a page means for errors, which know fewer fields than calls do. */

import type { ErrorFilter } from "../../api/gql/graphql";
import { type Filter, namesOf } from "../../filter/filter";
import type { Period } from "../../time/range";

/** Fields of the filter by the name that errors have for them. */
const FIELDS = { model: "model", provider: "provider", account: "account", apiKey: "apiKey", errorType: "type", errorCode: "code" } as const;

/** The part of a filter that errors can be chosen by, in a period. */
export function errorFilterOf(filter: Filter, period: Period): ErrorFilter {
  const found: Record<string, unknown> = { occurredAt: { gte: period.from, lt: period.to } };
  for (const [name, field] of Object.entries(FIELDS)) {
    const choice = filter.choices[name as keyof typeof FIELDS];
    const [is, not] = [choice?.is ?? [], choice?.not ?? []].map((values) => values.filter((value) => value !== ""));
    if (is?.length || not?.length) found[field] = { ...(is?.length && { in: is }), ...(not?.length && { notIn: not }) };
  }
  return found as ErrorFilter;
}

/** The filter of the calls that errors are a share of: without what it says of how calls ended. */
export function ofEvery({ choices, ...rest }: Filter): Filter {
  const { status: _status, errorType: _type, errorCode: _code, ...others } = choices;
  return { ...rest, choices: others };
}

/** The names of a filter that errors cannot be chosen by, so that a page says so. */
export function ignoredBy(filter: Filter): string[] {
  return namesOf(filter).filter((name) => !(name in FIELDS));
}
