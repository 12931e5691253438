import type { ReactNode } from "react";
import type { Problem } from "../../../api/problem";
import { useAnswer } from "../../../api/useAnswer";
import { type Filter, isEmpty } from "../../../filter/filter";
import { useWords } from "../../../language/useWords";
import { Button } from "../../../parts/Button";
import { Empty } from "../../../parts/Empty";
import { ProblemNote } from "../../../parts/ProblemNote";
import { Waiting } from "../../../parts/Waiting";
import { useRange } from "../../../time/RangeContext";
import { AnyCall } from "../documents";
import { words } from "../words";
import type { Row } from "./columns";
import type { Rows } from "./rows";
import { useLoaded } from "./useCalls";

interface Props {
  rows: Rows<Row>;
  filter: Filter;
  /** Why the sums of the time were refused: a list of a time that is gone is empty, and says nothing of it. */
  refusal: Problem | null;
  clear(): void;
  children: ReactNode;
}

/** The list, or why there is none: it is awaited, it failed, or nothing is there, for one of four reasons. */
export function ListState({ rows, filter, refusal, clear, children }: Props) {
  const word = useWords(words);
  useLoaded(rows);
  const { problem } = rows;
  const gone = refusal?.code === "OUT_OF_RETENTION" && rows.length === 0 && !rows.more ? refusal : problem;
  if (gone?.code === "OUT_OF_RETENTION") return <Because title={word.outOfRetention} why={`${word.outOfRetentionWhy} ${gone.message}`} filter={filter} clear={clear} />;
  if (problem?.code === "FORBIDDEN") return <Because title={word.noPermission} why={`${word.noPermissionWhy} ${problem.message}`} filter={filter} clear={clear} />;
  if (problem !== null && rows.length === 0) return <ProblemNote problem={problem} again={() => rows.again()} />;
  if (rows.length === 0 && rows.more) return <Waiting lines={14} />;
  if (rows.length === 0) return <NoCall filter={filter} clear={clear} />;
  return (
    <>
      {children}
      {problem !== null && <ProblemNote problem={problem} again={() => rows.again()} />}
    </>
  );
}

/** No data yet, or no match: whether there is any call at all decides. */
function NoCall({ filter, clear }: { filter: Filter; clear(): void }) {
  const word = useWords(words);
  const { data } = useAnswer(AnyCall, {});
  if (data === undefined) return <Waiting lines={3} />;
  if (data.calls?.nodes.length === 0) return <Empty title={word.noData}><p>{word.noDataWhy}</p></Empty>;
  return <Because title={word.none} why={word.noneWhy} filter={filter} clear={clear} />;
}

function Because({ title, why, filter, clear }: { title: string; why: string; filter: Filter; clear(): void }) {
  const word = useWords(words);
  const { change } = useRange();
  return (
    <Empty title={title}>
      <p>{why}</p>
      <p className="empty-actions">
        <Button onClick={() => change({ kind: "relative", last: "7d" })}>{word.lastWeek}</Button>
        {!isEmpty(filter) && <Button onClick={clear}>{word.clearFilters}</Button>}
      </p>
    </Empty>
  );
}
