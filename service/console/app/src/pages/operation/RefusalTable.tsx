import { useMemo } from "react";
import { useAnswer } from "../../api/useAnswer";
import { useWords } from "../../language/useWords";
import { count } from "../../numbers/figures";
import { Empty } from "../../parts/Empty";
import { Moment } from "../../parts/Moment";
import { NoAnswer } from "../../parts/NoAnswer";
import { PlainTable } from "../../parts/PlainTable";
import { Waiting } from "../../parts/Waiting";
import { useSession } from "../../session/SessionContext";
import { useRange } from "../../time/RangeContext";
import { Refusals } from "./documents";
import { byReason } from "./refused";
import { words } from "./words";

/** What was refused on its way in, by reason, with what it means. */
export function RefusalTable() {
  const word = useWords(words);
  const session = useSession();
  const { period } = useRange();
  const { data, problem, again } = useAnswer(Refusals, { since: period.from, until: period.to });
  const report = data?.ingestReport;
  const rows = useMemo(() => byReason(report?.rows ?? []), [report]);
  const reasons: Readonly<Record<string, string>> = word.reasons;
  return (
    <section className="panel">
      <h2>{word.refused}</h2>
      {problem && <NoAnswer problem={problem} again={again} />}
      {!report && !problem && <Waiting lines={4} />}
      {report && rows.length === 0 && (
        <Empty title={word.nothingRefused}>
          <p>{word.nothingWhy}</p>
        </Empty>
      )}
      {report && rows.length > 0 && (
        <PlainTable
          caption={word.inAll(count(report.refused))}
          rows={rows}
          keyOf={({ reason }) => reason}
          columns={[
            { name: "reason", wide: true, title: word.reason, cell: ({ reason }) => <span className="refusal">{reasons[reason] ?? reason}<code>{reason}</code></span> },
            { name: "count", title: word.count, figures: true, cell: ({ refused }) => count(String(refused)) },
            { name: "sources", title: word.source, cell: ({ sources }) => sources.join(", ") },
            { name: "accounts", title: word.account, cell: ({ accounts }) => accounts.join(", ") || "–" },
            { name: "last", title: word.lastHour, cell: ({ last }) => <Moment at={last} /> },
          ]}
        />
      )}
      {report && session.accounts !== null && <p className="quiet">{word.someAccounts}</p>}
      {report?.truncated && <p className="quiet">{word.truncated}</p>}
    </section>
  );
}
