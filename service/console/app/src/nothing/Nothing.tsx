import type { CallFilter } from "../api/gql/graphql";
import type { Problem } from "../api/problem";
import { type Filter, isEmpty } from "../filter/filter";
import { useWords } from "../language/useWords";
import { Button } from "../parts/controls/Button";
import { Empty } from "../parts/Empty";
import { Said } from "../parts/Said";
import { Waiting } from "../parts/Waiting";
import { useRange } from "../time/RangeContext";
import { useReason } from "./useReason";
import { words } from "./words";

interface Props {
  filter: Filter;
  callFilter: CallFilter;
  /** Why the sums of the time were refused, if they were. */
  refusal: Problem | null;
  clear(): void;
  /** What is missing where none matches, if it is something else than calls. */
  noMatch?: string;
}

/** Why no call is found: none was ever recorded, none matches, or the time is past what is kept; and what to do. */
export function Nothing({ filter, callFilter, refusal, clear, noMatch }: Props) {
  const word = useWords(words);
  const reason = useReason(callFilter, refusal);
  switch (reason.why) {
    case "waiting":
      return <Waiting lines={3} />;
    case "noData":
      return (
        <Empty title={word.noData}>
          <p>{word.noDataWhy}</p>
        </Empty>
      );
    case "outOfRetention":
      return <Because title={word.outOfRetention} why={word.outOfRetentionWhy} said={reason.message} filter={filter} clear={clear} />;
    case "noMatch":
      return <Because title={noMatch ?? word.noMatch} why={word.noMatchWhy} filter={filter} clear={clear} />;
  }
}

interface BecauseProps extends Pick<Props, "filter" | "clear"> {
  title: string;
  why: string;
  /** What the service says of it. */
  said?: string;
}

/** A reason, with the ways to a time and a filter that may find something. */
export function Because({ title, why, said = "", filter, clear }: BecauseProps) {
  const word = useWords(words);
  const { change } = useRange();
  return (
    <Empty title={title}>
      <p>{why}</p>
      {said !== "" && (
        <p className="quiet">
          <Said text={said} />
        </p>
      )}
      <p className="empty-actions">
        <Button onClick={() => change({ kind: "relative", last: "7d" })}>{word.lastWeek}</Button>
        {!isEmpty(filter) && <Button onClick={clear}>{word.clearFilters}</Button>}
      </p>
    </Empty>
  );
}
