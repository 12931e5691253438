import { useEffect, useState } from "react";
import { useClient } from "urql";
import type { StatementsQuery } from "../../api/gql/graphql";
import { type Problem, firstProblem } from "../../api/problem";
import { useAnswer } from "../../api/useAnswer";
import { useWords } from "../../language/useWords";
import { count } from "../../numbers/figures";
import { Button } from "../../parts/controls/Button";
import { Copied } from "../../parts/copying/Copied";
import { Empty } from "../../parts/Empty";
import { FileLink } from "../../parts/FileLink";
import { Moment } from "../../parts/Moment";
import { NoAnswer } from "../../parts/NoAnswer";
import { Pager, usePages } from "../../parts/Pager";
import { PlainTable } from "../../parts/PlainTable";
import { ProblemNote } from "../../parts/ProblemNote";
import { Said } from "../../parts/Said";
import { Waiting } from "../../parts/Waiting";
import { useSession } from "../../session/SessionContext";
import { LinkOfStatement, MakeStatement, Statements as StatementsOf } from "./documents";
import { words } from "./words";

type Statement = NonNullable<StatementsQuery["attestations"]>["nodes"][number];

const VERIFY = "calledger verify statement.json --key VKEY";
const EVERY_MS = 2_000;

/** Statements of retention that the operator's service has kept: to be made, and to be taken away and verified. */
export function Statements() {
  const word = useWords(words);
  const client = useClient();
  const session = useSession();
  const pages = usePages();
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<Problem | null>(null);
  const { data, problem, again } = useAnswer(StatementsOf, { after: pages.after });
  const page = data?.attestations;
  const working = page?.nodes.some(isUnderWay) ?? false;
  useEffect(() => {
    if (!working) return;
    const timer = setInterval(() => document.hidden || again(), EVERY_MS);
    return () => clearInterval(timer);
  }, [working, again]);
  const make = async () => {
    setBusy(true);
    const { error } = await client.mutation(MakeStatement, {}).toPromise();
    setFailed(firstProblem(error));
    setBusy(false);
    again();
  };
  const renewed = async (id: string) => {
    const { data: found, error } = await client.query(LinkOfStatement, { id }).toPromise();
    setFailed(firstProblem(error));
    if (!found?.attestation?.signedUrl) again();
    return found?.attestation?.signedUrl ?? null;
  };
  return (
    <section className="statements">
      <div className="verification">
        <h2>{word.statements}</h2>
        <p className="quiet">{word.statementsWhy}</p>
        <p className="retention-missing">{word.keptByOperator}</p>
        <pre className="mono">{VERIFY}</pre>
        {session.mayAsk("requestAttestation") && (
          <Button icon="shield" busy={busy || working} onClick={() => void make()}>
            {word.makeStatement}
          </Button>
        )}
        {failed && <ProblemNote problem={failed} />}
      </div>
      {problem && <NoAnswer problem={problem} again={again} />}
      {!problem && !page && <Waiting lines={4} />}
      {page && page.nodes.length === 0 && <Empty title={word.noStatements} />}
      {page && page.nodes.length > 0 && <StatementTable rows={page.nodes} renewed={renewed} />}
      <Pager pages={pages} pageInfo={page?.pageInfo} />
    </section>
  );
}

function StatementTable({ rows, renewed }: { rows: readonly Statement[]; renewed(id: string): Promise<string | null> }) {
  const word = useWords(words);
  return (
    <PlainTable
      caption={word.statements}
      rows={rows}
      keyOf={({ id }) => id}
      columns={[
        { name: "asked", title: word.asked, cell: ({ requestedAt }) => <Moment at={requestedAt} /> },
        { name: "result", title: word.result, wide: true, cell: (row) => <Result row={row} /> },
        {
          name: "file",
          title: <span className="unseen">{word.file}</span>,
          cell: ({ id, signedUrl, ledgerIndex }) =>
            signedUrl != null && (
              <FileLink signedUrl={signedUrl} renewed={() => renewed(id)} label={word.downloadStatement(ledgerIndex ?? "")}>
                {word.downloadFile}
              </FileLink>
            ),
        },
        { name: "by", title: word.by, cell: ({ requestedBy }) => <code>{requestedBy}</code> },
        { name: "days", title: word.lookedBack, figures: true, cell: ({ days }) => word.days(count(String(days))) },
        { name: "entry", title: word.entry, figures: true, cell: ({ ledgerIndex }) => (ledgerIndex == null ? "–" : `#${ledgerIndex}`) },
        { name: "checkpoint", title: word.checkpoint, figures: true, cell: ({ checkpointSize }) => (checkpointSize == null ? "–" : count(checkpointSize)) },
        { name: "digest", title: word.digest, cell: ({ digest }) => (digest == null ? "–" : <Copied text={digest} shown={digest.slice(7, 19)} />) },
      ]}
    />
  );
}

/** What came of it: a statement that finds something wrong, and a run that ended without one, are both said in red. */
function Result({ row: { state, unmet, failure, checks, checksDone } }: { row: Statement }) {
  const word = useWords(words);
  if (state === "QUEUED") return <span className="badge">{word.queued}</span>;
  if (state === "RUNNING") {
    return (
      <span className="retention-bar">
        <progress value={checksDone ?? 0} max={checks ?? 1} aria-label={word.checking} /> {checks == null ? word.checking : word.checked(count(String(checksDone ?? 0)), count(String(checks)))}
      </span>
    );
  }
  if (state === "DONE" && unmet === 0) return <span className="badge badge-good">{word.allMet}</span>;
  if (state === "DONE" && unmet != null) return <span className="badge badge-bad">{word.notMet(count(String(unmet)))}</span>;
  return (
    <>
      <span className="badge badge-bad">{word.failed}</span> {failure != null && <Said text={failure} />}
    </>
  );
}

function isUnderWay({ state }: Statement): boolean {
  return state === "QUEUED" || state === "RUNNING";
}
