import type { CallFilter } from "../../api/gql/graphql";
import type { Problem } from "../../api/problem";
import type { Filter } from "../../filter/filter";
import { useWords } from "../../language/useWords";
import { count } from "../../numbers/figures";
import { Because, Nothing } from "../../nothing/Nothing";
import { words } from "./words";

interface Props {
  /** Calls of the time whose amount is not known. */
  unpriced: string;
  /** Why sums were refused, if they were. */
  refusal: Problem | null;
  filter: Filter;
  callFilter: CallFilter;
  clear(): void;
}

/** Why there are no costs: no calls are found, or calls whose amount is not known. */
export function NoCosts({ unpriced, refusal, filter, callFilter, clear }: Props) {
  const word = useWords(words);
  if (unpriced === "0") return <Nothing filter={filter} callFilter={callFilter} refusal={refusal} clear={clear} />;
  return <Because title={word.noAmounts} why={word.unpriced(count(unpriced))} filter={filter} clear={clear} />;
}
