import { useWords } from "../../language/useWords";
import { count, percent, size } from "../../numbers/figures";
import { Button } from "../../parts/controls/Button";
import { Copied } from "../../parts/copying/Copied";
import { FileLink } from "../../parts/FileLink";
import { Moment } from "../../parts/Moment";
import { PlainTable } from "../../parts/PlainTable";
import { Said } from "../../parts/Said";
import { toTheMinute } from "../../time/zone";
import type { ExportRow } from "./ExportsPage";
import { progress } from "./input";
import { words } from "./words";

interface Props {
  rows: readonly ExportRow[];
  cancel(id: string): void;
  /** The link to a file, anew. */
  renewed(id: string): Promise<string | null>;
}

const STATES: Readonly<Record<ExportRow["state"], string>> = {
  QUEUED: "badge",
  RUNNING: "badge badge-warn",
  READY: "badge badge-good",
  FAILED: "badge badge-bad",
  CANCELLED: "badge",
  EXPIRED: "badge",
};

/** Exports with how far they are, and their files. */
export function ExportTable({ rows, cancel, renewed }: Props) {
  const word = useWords(words);
  const kinds: Readonly<Record<string, string>> = word.kinds;
  return (
    <PlainTable
      caption={word.exports}
      rows={rows}
      keyOf={({ id }) => id}
      columns={[
        { name: "asked", title: word.asked, cell: ({ requestedAt }) => <Moment at={requestedAt} text={toTheMinute} /> },
        { name: "state", title: word.state, cell: ({ state, failure }) => <span className={STATES[state]} title={failure ?? undefined}>{word.states[state]}</span> },
        {
          name: "do", wide: true,
          title: <span className="unseen">{word.actions}</span>,
          cell: ({ id, state, signedUrl }) => (
            <span className="export-choices">
              {signedUrl != null && (
                <FileLink signedUrl={signedUrl} renewed={() => renewed(id)}>
                  {word.download}
                </FileLink>
              )}
              {(state === "QUEUED" || state === "RUNNING" || state === "READY") && (
                <Button kind="quiet" onClick={() => cancel(id)}>
                  {state === "READY" ? word.remove : word.cancel}
                </Button>
              )}
            </span>
          ),
        },
        { name: "kind", title: word.kind, cell: ({ kind }) => kinds[kind] ?? kind },
        { name: "format", title: word.format, cell: ({ format }) => format ?? "–" },
        { name: "rows", title: word.rows, figures: true, cell: (row) => <Rows row={row} /> },
        { name: "size", title: word.size, figures: true, cell: ({ bytes }) => (bytes == null ? "–" : size(bytes)) },
        { name: "sha", title: word.digest, cell: ({ sha256 }) => (sha256 == null ? "–" : <Copied text={sha256} shown={sha256.slice(7, 19)} />) },
        { name: "until", title: word.until, cell: ({ expiresAt }) => (expiresAt ? <Moment at={expiresAt} /> : "–") },
        { name: "failure", title: word.failure, cell: ({ failure }) => (failure == null ? "–" : <Said text={failure} />) },
      ]}
    />
  );
}

function Rows({ row }: { row: ExportRow }) {
  const word = useWords(words);
  if (row.rows == null) return "–";
  const part = row.state === "RUNNING" ? progress(row.rows, row.totalRows) : null;
  if (part === null) return count(row.rows);
  return (
    <span className="export-progress">
      <progress value={part} max={1} aria-label={word.progress} /> {percent(part)}
    </span>
  );
}
