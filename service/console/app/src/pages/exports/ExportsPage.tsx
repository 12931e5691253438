import { useEffect, useState } from "react";
import { useClient } from "urql";
import type { ExportsQuery } from "../../api/gql/graphql";
import { type Problem, firstProblem } from "../../api/problem";
import { type Answer, useAnswer } from "../../api/useAnswer";
import { FilterBar } from "../../filter/FilterBar";
import { useWords } from "../../language/useWords";
import { Empty } from "../../parts/Empty";
import { NoAnswer } from "../../parts/NoAnswer";
import { Pager, usePages } from "../../parts/Pager";
import { ProblemNote } from "../../parts/ProblemNote";
import { Waiting } from "../../parts/Waiting";
import { useSession } from "../../session/SessionContext";
import { CancelOne, DropSchedule, Exports, LinkOfExport } from "./documents";
import { ExportForm } from "./ExportForm";
import { ExportTable } from "./ExportTable";
import "./exports.css";
import { ScheduleTable } from "./ScheduleTable";
import { words } from "./words";

export type ExportRow = NonNullable<ExportsQuery["exports"]>["nodes"][number];
const EVERY_MS = 1_500;

/** Files of rows: to ask for, to watch, to fetch, and to have again each day or month. */
export default function ExportsPage() {
  const session = useSession();
  const client = useClient();
  const pages = usePages();
  const [failed, setFailed] = useState<Problem | null>(null);
  const answer = useAnswer(Exports, { after: pages.after, schedules: session.mayAsk("exportSchedules") });
  const { data, problem, again } = answer;
  const page = data?.exports;
  const schedules = data?.exportSchedules?.nodes ?? [];
  const working = page?.nodes.some(({ state }) => state === "QUEUED" || state === "RUNNING") ?? false;
  useEffect(() => {
    if (!working) return;
    const timer = setInterval(() => document.hidden || again(), EVERY_MS);
    return () => clearInterval(timer);
  }, [working, again]);
  const act = async (document: typeof CancelOne | typeof DropSchedule, id: string) => {
    const { error } = await client.mutation(document as typeof CancelOne, { id }).toPromise();
    setFailed(firstProblem(error));
    again();
  };
  const renewed = async (id: string) => {
    const { data: found, error } = await client.query(LinkOfExport, { id }).toPromise();
    setFailed(firstProblem(error));
    if (!found?.export?.signedUrl) again();
    return found?.export?.signedUrl ?? null;
  };
  return (
    <div className="page-body">
      <NewExport made={again} />
      {failed && <ProblemNote problem={failed} />}
      {!page || problem || page.nodes.length === 0 ? <NoExports answer={answer} /> : <ExportTable rows={page.nodes} cancel={(id) => void act(CancelOne, id)} renewed={renewed} />}
      <Pager pages={pages} pageInfo={page?.pageInfo} />
      {schedules.length > 0 && <ScheduleTable rows={schedules} drop={(id) => void act(DropSchedule, id)} />}
    </div>
  );
}

function NoExports({ answer: { data, problem, again } }: { answer: Answer<ExportsQuery> }) {
  const word = useWords(words);
  if (problem) return <NoAnswer problem={problem} again={again} />;
  if (!data?.exports) return <Waiting lines={5} />;
  return (
    <Empty title={word.none}>
      <p>{word.noneWhy}</p>
    </Empty>
  );
}

/** For who may read calls: an auditor has files of evidence here, and asks for them beside the ledger. */
function NewExport({ made }: { made(): void }) {
  const session = useSession();
  if (!session.mayAsk("createExport") || !session.mayAsk("calls")) return null;
  return (
    <>
      <FilterBar />
      <ExportForm made={made} />
    </>
  );
}
