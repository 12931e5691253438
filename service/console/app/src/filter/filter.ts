/** Which calls: the filter as an address says it, and as the service takes it. */

import type { CallFilter } from "../api/gql/graphql";
import type { Change } from "../address/search";
import type { Period } from "../time/range";
import { BOUND_FIELDS, type BoundName, CHOICE_FIELDS, type ChoiceField, type ChoiceName } from "./fields";

/** Values that are wanted, and values that are not; the empty text stands for what was not reported. */
export interface Choice {
  readonly is: readonly string[];
  readonly not: readonly string[];
}

export interface Bound {
  readonly min: string | null;
  readonly max: string | null;
}

export interface Filter {
  readonly choices: Readonly<Partial<Record<ChoiceName, Choice>>>;
  readonly tags: Readonly<Record<string, Choice>>;
  readonly bounds: Readonly<Partial<Record<BoundName, Bound>>>;
}

export const NOT_REPORTED = "";
const VALUES_MAX = 50;
const NONE: Choice = { is: [], not: [] };

/** `not.model=x` leaves a value out. */
const notName = (name: string) => `not.${name}`;

function choiceIn(parameters: URLSearchParams, name: string): Choice | null {
  const values = (of: string) => [...new Set(parameters.getAll(of))].slice(0, VALUES_MAX);
  const choice = { is: values(name), not: values(notName(name)) };
  return choice.is.length + choice.not.length > 0 ? choice : null;
}

/** The filter of an address. What it says of no field, or of a figure that is none, is left out. */
export function filterOf(parameters: URLSearchParams): Filter {
  const choices = Object.fromEntries(
    CHOICE_FIELDS.flatMap(({ name }) => {
      const choice = choiceIn(parameters, name);
      return choice === null ? [] : [[name, choice]];
    }),
  );
  const keys = new Set(
    [...parameters.keys()].flatMap((name) => /^(?:not\.)?tag\.(.{1,100})$/.exec(name)?.[1] ?? []),
  );
  const tags = Object.fromEntries([...keys].map((key) => [key, choiceIn(parameters, `tag.${key}`) ?? NONE]));
  const bounds = Object.fromEntries(
    BOUND_FIELDS.flatMap(({ name, decimal }) => {
      const figure = (text: string | null) => (text !== null && isFigure(text, decimal) ? text : null);
      const bound = { min: figure(parameters.get(`min.${name}`)), max: figure(parameters.get(`max.${name}`)) };
      return bound.min === null && bound.max === null ? [] : [[name, bound]];
    }),
  );
  return { choices, tags, bounds };
}

/** Whether a text is a figure of the field: a whole number of 32 bits, or a decimal. */
export function isFigure(text: string, decimal: boolean): boolean {
  return decimal ? /^\d{1,15}(\.\d{1,12})?$/.test(text) : /^\d{1,10}$/.test(text) && Number(text) < 2 ** 31;
}

/** The parameter names of a filter that an address has now, so that all of them can be taken out. */
export function parametersOfFilter(parameters: URLSearchParams): string[] {
  const known = new Set<string>(CHOICE_FIELDS.map((field) => field.name));
  return [...new Set(parameters.keys())].filter(
    (name) => known.has(name.replace(/^not\./, "")) || /^(not\.)?tag\.|^(min|max)\./.test(name),
  );
}

/** The change of the address that takes every filter out. */
export function withoutFilter(parameters: URLSearchParams): Change {
  return Object.fromEntries(parametersOfFilter(parameters).map((name) => [name, null]));
}

/** The change of the address that has a value in, out or neither in a field (`model`, `tag.team`). */
export function chosen(parameters: URLSearchParams, name: string, value: string, how: "is" | "not" | null): Change {
  const now = choiceIn(parameters, name) ?? NONE;
  const others = (values: readonly string[]) => values.filter((one) => one !== value);
  return {
    [name]: how === "is" ? [...others(now.is), value] : others(now.is),
    [notName(name)]: how === "not" ? [...others(now.not), value] : others(now.not),
  };
}

/** As the service takes it, for a period. */
export function toCallFilter(filter: Filter, period: Period): CallFilter {
  const found: Record<string, unknown> = { startedAt: { gte: period.from, lt: period.to } };
  const both: CallFilter[] = [];
  for (const field of CHOICE_FIELDS) {
    const choice = filter.choices[field.name];
    if (choice === undefined) continue;
    const { direct, either } = conditions(field, choice);
    if (direct !== null) found[field.name] = direct;
    if (either !== null) both.push({ or: either });
  }
  const tags = Object.entries(filter.tags).flatMap(([key, choice]) => tagConditions(key, choice, both));
  if (tags.length > 0) found["tags"] = tags;
  for (const { name } of BOUND_FIELDS) {
    const bound = filter.bounds[name];
    if (bound !== undefined) found[name] = bounded(name, bound);
  }
  if (both.length > 0) found["and"] = both;
  return found as CallFilter;
}

function bounded(name: BoundName, { min, max }: Bound): Record<string, unknown> {
  const value = (text: string) => (name === "amount" || name === "totalTokens" ? text : Number(text));
  return { ...(min !== null && { gte: value(min) }), ...(max !== null && { lte: value(max) }) };
}

const named = (values: readonly string[]) => values.filter((value) => value !== NOT_REPORTED);

interface Conditions {
  readonly direct: object | null;
  /** Either of these will do: a value, or none at all. */
  readonly either: CallFilter[] | null;
}

/** What a choice asks of its field. */
function conditions(field: ChoiceField, choice: Choice): Conditions {
  const { is, not } = choice;
  const missing = is.includes(NOT_REPORTED);
  switch (field.kind) {
    case "boolean":
      return { direct: { eq: ((is[0] ?? not[0]) === "true") === (is.length > 0) }, either: null };
    case "user":
      return { direct: missing ? { isNull: true } : { pseudonym: named(is) }, either: null };
    case "id":
      return { direct: { in: named(is) }, either: null };
    case "enum":
      return ofValues(named(is), named(not), null);
    default:
      if (missing && named(is).length > 0) {
        const either = [{ [field.name]: { in: named(is) } }, { [field.name]: { isNull: true } }];
        return { ...ofValues([], named(not), null), either };
      }
      return ofValues(named(is), named(not), missing ? true : not.includes(NOT_REPORTED) ? false : null, field.name);
  }
}

function ofValues(wanted: readonly string[], unwanted: readonly string[], isNull: boolean | null, name = ""): Conditions {
  // Amounts are compared within one currency, which the service wants by `eq`.
  const isOne = name === "currency" && wanted.length === 1;
  const direct = {
    ...(isOne ? { eq: wanted[0] } : wanted.length > 0 && { in: wanted }),
    ...(unwanted.length > 0 && { notIn: unwanted }),
    ...(isNull !== null && { isNull }),
  };
  return { direct: Object.keys(direct).length > 0 ? direct : null, either: null };
}

/** What is asked of a tag. A call without the tag is not one with another value of it, so that `not` is said of the call. */
function tagConditions(key: string, { is, not }: Choice, both: CallFilter[]): object[] {
  const wanted = named(is);
  const carried = wanted.length > 0 ? [{ key, value: { in: wanted } }] : [];
  if (named(not).length > 0) both.push({ not: { tags: [{ key, value: { in: named(not) } }] } });
  return carried;
}

/** Whether anything is filtered. */
export function isEmpty({ choices, tags, bounds }: Filter): boolean {
  return [choices, tags, bounds].every((part) => Object.keys(part).length === 0);
}

/** The names of what is filtered: `model`, `tag.team`, `latencyMs`. */
export function namesOf({ choices, tags, bounds }: Filter): string[] {
  return [...Object.keys(choices), ...Object.keys(tags).map((key) => `tag.${key}`), ...Object.keys(bounds)];
}
