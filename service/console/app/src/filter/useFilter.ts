import { useCallback, useMemo } from "react";
import { useAddress } from "../address/address";
import type { CallFilter } from "../api/gql/graphql";
import { useRange } from "../time/RangeContext";
import { type Filter, chosen, filterOf, toCallFilter, withoutFilter } from "./filter";

interface Filtered {
  readonly filter: Filter;
  /** As the service takes it, with the time of the page; the same object until something of it changes. */
  readonly callFilter: CallFilter;
  /** Has a value in (`is`), out (`not`), or neither. */
  choose(name: string, value: string, how: "is" | "not" | null): void;
  /** The least and the most of a figure; null: no bound. */
  bound(name: string, min: string | null, max: string | null): void;
  clear(): void;
}

/** The filter of the page, from the address. */
export function useFilter(): Filtered {
  const [parameters, change] = useAddress();
  const { period } = useRange();
  const filter = filterOf(parameters);
  const text = JSON.stringify(filter);
  // By its text: another parameter of the address, such as the open call, asks nothing anew.
  const callFilter = useMemo(() => toCallFilter(JSON.parse(text) as Filter, period), [text, period]);
  const choose = useCallback(
    (name: string, value: string, how: "is" | "not" | null) =>
      change(chosen(new URLSearchParams(location.search), name, value, how)),
    [change],
  );
  return {
    filter,
    callFilter,
    choose,
    bound: (name, min, max) => change({ [`min.${name}`]: min, [`max.${name}`]: max }),
    clear: () => change(withoutFilter(parameters)),
  };
}
