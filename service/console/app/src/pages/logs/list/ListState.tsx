import type { ReactNode } from "react";
import type { CallFilter } from "../../../api/gql/graphql";
import type { Problem } from "../../../api/problem";
import type { Filter } from "../../../filter/filter";
import { useWords } from "../../../language/useWords";
import { Because, Nothing } from "../../../nothing/Nothing";
import { ProblemNote } from "../../../parts/ProblemNote";
import { Waiting } from "../../../parts/Waiting";
import { words } from "../words";
import type { Row } from "./columns";
import type { Rows } from "./rows";
import { useLoaded } from "./useCalls";

interface Props {
  rows: Rows<Row>;
  /** Others are awaited in the place of these. */
  stale: boolean;
  filter: Filter;
  callFilter: CallFilter;
  /** Why the sums of the time were refused: a list of a time that is gone is empty, and says nothing of it. */
  refusal: Problem | null;
  clear(): void;
  /** Asks once more for what was not answered, of the whole page. */
  again(): void;
  children: ReactNode;
}

/** The list, or why there is none: it is awaited, it failed, or nothing is there, for one of four reasons. */
export function ListState({ rows, stale, filter, callFilter, refusal, clear, again, children }: Props) {
  const word = useWords(words);
  useLoaded(rows);
  const { problem } = rows;
  if (rows.length === 0 && stale) return <Waiting lines={14} />;
  if (problem?.code === "FORBIDDEN") return <Because title={word.noPermission} why={word.noPermissionWhy} said={problem.message} filter={filter} clear={clear} />;
  if (problem !== null && problem.code !== "OUT_OF_RETENTION" && rows.length === 0) return <ProblemNote problem={problem} again={again} />;
  if (rows.length === 0 && rows.more) return <Waiting lines={14} />;
  if (rows.length === 0) return <Nothing filter={filter} callFilter={callFilter} refusal={problem ?? refusal} clear={clear} />;
  return (
    <>
      {children}
      {problem !== null && <ProblemNote problem={problem} again={again} />}
    </>
  );
}
