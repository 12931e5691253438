import { type ReactNode, createContext, use, useCallback, useMemo, useState } from "react";
import { useAddress } from "../address/address";
import { type Period, type Range, before, parametersOf, periodOf, rangeOf } from "./range";
import { useZone } from "./zone";

interface Ranged {
  readonly range: Range;
  /** The moments of the range, as of the last refresh; stays the same until then. */
  readonly period: Period;
  /** What it is compared with. */
  readonly previous: Period;
  change(range: Range): void;
  /** How often somebody has looked anew: what is asked, is asked again with each. */
  readonly looks: number;
  /** Looks at the clock again, and at everything: the end of a relative range is now. */
  refresh(): void;
}

const Context = createContext<Ranged | null>(null);

/** The moments of a range at this look at the clock. */
function lookedAt(range: Range, zone: string, _look: number): Pick<Ranged, "period" | "previous"> {
  const period = periodOf(range, Date.now(), zone);
  return { period, previous: before(period, range, zone) };
}

/** The time of all pages, from the address. */
export function RangeProvider({ children }: { children: ReactNode }) {
  const [parameters, change] = useAddress();
  const shown = useZone();
  // The moments of other ranges are the same in all zones: another one asks nothing anew.
  const zone = rangeOf(parameters).kind === "calendar" ? shown : "UTC";
  const text = ["range", "from", "to"].map((name) => parameters.get(name) ?? "").join("|");
  const [looks, setLooks] = useState(0);
  const refresh = useCallback(() => setLooks((looked) => looked + 1), []);
  const ranged = useMemo(() => {
    const [last, from, to] = text.split("|");
    const range = rangeOf(new URLSearchParams({ range: last ?? "", from: from ?? "", to: to ?? "" }));
    return { range, looks, ...lookedAt(range, zone, looks), change: (next: Range) => change(parametersOf(next)), refresh };
  }, [text, zone, looks, change, refresh]);
  return <Context value={ranged}>{children}</Context>;
}

/** The time that the page is about. */
export function useRange(): Ranged {
  const found = use(Context);
  if (found === null) throw new Error("useRange is for what stands in a RangeProvider");
  return found;
}
