import { useMemo, useState } from "react";
import { useAddress } from "../../../address/address";
import type { LedgerKind } from "../../../api/gql/graphql";
import { useAnswer } from "../../../api/useAnswer";
import { decoded } from "../../../evidence/entry";
import { useWords } from "../../../language/useWords";
import { Button } from "../../../parts/controls/Button";
import { Choice } from "../../../parts/controls/Choice";
import { Empty } from "../../../parts/Empty";
import { Moment } from "../../../parts/Moment";
import { NoAnswer } from "../../../parts/NoAnswer";
import { Pager, usePages } from "../../../parts/Pager";
import { PlainTable } from "../../../parts/PlainTable";
import { Waiting } from "../../../parts/Waiting";
import { useRange } from "../../../time/RangeContext";
import { RangeChoice } from "../../../time/RangeControl";
import { Entries } from "../documents";
import { useWordOf } from "../useWordOf";
import { Verification } from "./Verification";
import { words } from "../words";

/** Entries that say who looked at something, or took it away. */
const LOOKS: LedgerKind[] = ["ERROR_REVEALED", "EXPORTED", "EVIDENCE_CREATED", "ATTESTATION_REQUESTED", "ATTESTED", "SESSION_TOKENS_CREATED"];
const PAGE = 100;
const LONG = 26;

export type Proved = ReadonlyMap<string, string | null>;

/** The ledger's entries of the time, decoded from their leaves, with a check of their proofs in this browser. */
export function Ledger() {
  const word = useWords(words);
  const text = useWordOf();
  const [parameters, change] = useAddress();
  const { period, change: changeRange } = useRange();
  const looks = parameters.get("who") === "1";
  const [proved, setProved] = useState<Proved>(new Map());
  const [whole, setWhole] = useState(false);
  const filter = useMemo(
    () => ({ recordedAt: { gte: period.from, lt: period.to }, ...(looks && { kind: { in: LOOKS } }) }),
    [period, looks],
  );
  const pages = usePages(JSON.stringify(filter));
  const { data, problem, again } = useAnswer(Entries, { filter, first: PAGE, after: pages.after });
  const page = data?.ledger;
  const rows = useMemo(() => (page?.nodes ?? []).map((node) => ({ ...node, says: decoded(node.leaf) })).toReversed(), [page]);
  return (
    <div className="retention-part">
      <Verification entries={rows} proved={setProved} />
      <div className="retention-bar">
        <RangeChoice side="start" />
        <Choice<"all" | "looks">
          label={word.which}
          options={[
            { value: "all", text: word.allEntries },
            { value: "looks", text: word.whoLooked },
          ]}
          value={looks ? "looks" : "all"}
          change={(value) => change({ who: value === "looks" ? "1" : null })}
        />
        <Button aria-pressed={whole} onClick={() => setWhole(!whole)}>
          {word.wholeValues}
        </Button>
        <Pager pages={pages} pageInfo={page?.pageInfo} back={word.older} next={word.newer} />
      </div>
      {problem && <NoAnswer problem={problem} again={again} />}
      {!problem && !page && <Waiting lines={8} />}
      {page && rows.length === 0 && (
        <Empty title={word.noEntries}>
          <p className="empty-actions">
            <Button onClick={() => changeRange({ kind: "relative", last: "90d" })}>{word.lastQuarter}</Button>
          </p>
        </Empty>
      )}
      {rows.length > 0 && (
        <PlainTable
          caption={looks ? word.whoLooked : word.entries}
          rows={rows}
          keyOf={({ index }) => index}
          columns={[
            { name: "index", title: word.entry, figures: true, cell: ({ index }) => `#${index}` },
            {
              name: "proof",
              title: word.proof,
              cell: ({ index }) => {
                const doubt = proved.get(index);
                if (doubt === undefined) return "–";
                return <span className={doubt === null ? "badge badge-good" : "badge badge-bad"}>{doubt === null ? word.verified : text("doubts", doubt)}</span>;
              },
            },
            { name: "at", title: word.time, cell: ({ recordedAt }) => <Moment at={recordedAt} /> },
            { name: "kind", title: word.kind, cell: ({ says, kind }) => <Kind kind={says?.kind ?? kind} text={text} /> },
            { name: "actor", title: word.by, cell: ({ says, actor }) => <code>{says?.actor ?? actor}</code> },
            {
              name: "facts", wide: true,
              title: word.facts,
              cell: ({ says }) => (
                <span className="facts">
                  {says === null
                    ? word.unreadableLeaf
                    : says.facts.map(([name, value]) => (
                        <span key={name} title={value}>
                          <b>{name}</b> <code>{whole || value.length <= LONG ? value : `${value.slice(0, LONG)}…`}</code>
                        </span>
                      ))}
                </span>
              ),
            },
            { name: "note", wide: true, title: word.note, cell: ({ note }) => <span className="note">{note ?? "–"}</span> },
          ]}
        />
      )}
    </div>
  );
}

/** What happened, in words, and as the entry itself names it. */
function Kind({ kind, text }: { kind: string; text: ReturnType<typeof useWordOf> }) {
  return (
    <span className="ledger-kind">
      {text("kinds", kind)}
      <code>{kind}</code>
    </span>
  );
}
