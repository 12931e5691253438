import { useMemo, useState } from "react";
import { graphql } from "../api/gql";
import type { CallFilter } from "../api/gql/graphql";
import type { Problem } from "../api/problem";
import { useAnswer } from "../api/useAnswer";
import { useSession } from "../session/SessionContext";
import { CHOICE_FIELDS, type ChoiceField, type FacetName } from "./fields";

const FilterMenus = graphql(`
  query FilterMenus(
    $filter: CallFilter
    $first: Int
    $models: Boolean!
    $providers: Boolean!
    $accounts: Boolean!
    $apiKeys: Boolean!
    $statuses: Boolean!
    $currencies: Boolean!
    $errorTypes: Boolean!
    $errorCodes: Boolean!
    $operations: Boolean!
    $servedModels: Boolean!
    $tags: Boolean!
  ) {
    facets(filter: $filter, first: $first, excludeOwnFilter: true) {
      models @include(if: $models) {
        value
        count
      }
      providers @include(if: $providers) {
        value
        count
      }
      accounts @include(if: $accounts) {
        value
        count
      }
      apiKeys @include(if: $apiKeys) {
        value
        count
      }
      statuses @include(if: $statuses) {
        value
        count
      }
      currencies @include(if: $currencies) {
        value
        count
      }
      errorTypes @include(if: $errorTypes) {
        value
        count
      }
      errorCodes @include(if: $errorCodes) {
        value
        count
      }
      operations @include(if: $operations) {
        value
        count
      }
      servedModels @include(if: $servedModels) {
        value
        count
      }
      tags @include(if: $tags) {
        key
        values {
          value
          count
        }
      }
    }
  }
`);

const FIRST = 50;
const FACETS = [
  "models",
  "providers",
  "accounts",
  "apiKeys",
  "statuses",
  "currencies",
  "errorTypes",
  "errorCodes",
  "operations",
  "servedModels",
  "tags",
] as readonly (FacetName | "tags")[];

export interface FacetValue {
  /** The empty text: not reported. */
  readonly value: string;
  readonly count: string;
}

export interface Menu {
  /** A parameter of the address: `model`, `tag.team`. */
  readonly name: string;
  readonly values: readonly FacetValue[] | null;
}

export interface Menus {
  readonly menus: readonly Menu[];
  /** Menus that are open. What only single calls can answer is asked for while its menu is. */
  readonly open: ReadonlySet<string>;
  toggle(name: string): void;
  readonly problem: Problem | null;
  readonly waiting: boolean;
  again(): void;
}

const OPEN_AT_FIRST = ["status", "model", "provider", "account", "apiKey"];
const TAGS = "tags";

/** The menus of the filter with their counts, each as if it said nothing of its own field. `looked`: somebody looks. */
export function useFacets(filter: CallFilter, looked = true): Menus {
  const session = useSession();
  const [open, setOpen] = useState<ReadonlySet<string>>(() => new Set(OPEN_AT_FIRST));
  const wanted = session.mayAsk("facets");
  const fields = useMemo(
    () => CHOICE_FIELDS.filter((field: ChoiceField) => field.facet !== undefined && session.mayFilter(field.governs)) as ChoiceField[],
    [session],
  );
  const flags = Object.fromEntries(
    FACETS.map((facet) => [
      facet,
      facet === TAGS
        ? session.mayFilter("Call.tags") && open.has(TAGS)
        : fields.some((field) => field.facet === facet && (!field.single || open.has(field.name))),
    ]),
  ) as Record<(typeof FACETS)[number], boolean>;
  const { data, problem, waiting, again } = useAnswer(FilterMenus, { filter, first: FIRST, ...flags }, { wanted: wanted && looked });
  const facets = data?.facets;
  const shown = (values: readonly { value?: string | null; count: string }[] | undefined) =>
    values?.map(({ value, count }) => ({ value: value ?? "", count })) ?? null;
  const menus: Menu[] = (wanted ? fields : []).map((field) => ({
    name: field.name,
    values: shown(field.facet && facets?.[field.facet]),
  }));
  if (session.mayFilter("Call.tags")) {
    for (const tag of facets?.tags ?? []) menus.push({ name: `tag.${tag.key}`, values: shown(tag.values) });
  }
  const toggle = (name: string) =>
    setOpen((before) => {
      const next = new Set(before);
      if (!next.delete(name)) next.add(name);
      return next;
    });
  return { menus, open, toggle, problem, waiting, again };
}
