import { useState } from "react";
import { useAddress } from "../../address/address";
import { useClient } from "urql";
import type { ExportFormat, ExportKind } from "../../api/gql/graphql";
import { type Problem, firstProblem } from "../../api/problem";
import { useAnswer } from "../../api/useAnswer";
import { useFilter } from "../../filter/useFilter";
import { useWords } from "../../language/useWords";
import { count } from "../../numbers/figures";
import { Button } from "../../parts/controls/Button";
import { Choice } from "../../parts/controls/Choice";
import { ProblemNote } from "../../parts/ProblemNote";
import { useSession } from "../../session/SessionContext";
import { useRange } from "../../time/RangeContext";
import { useZone } from "../../time/zone";
import { errorFilterOf } from "../errors/errorFilter";
import { MakeExport, MakeSchedule, RowsOfExport } from "./documents";
import { FORMATS, KINDS, type Rhythm, inputOf } from "./input";
import { words } from "./words";

/** The filter of the page as a file: of what, in which format, once or again and again. */
export function ExportForm({ made }: { made(): void }) {
  const word = useWords(words);
  const session = useSession();
  const client = useClient();
  const zone = useZone();
  const { period } = useRange();
  const { filter, callFilter } = useFilter();
  const [parameters] = useAddress();
  const [kind, setKind] = useState<ExportKind>(KINDS.find((one) => one === parameters.get("kind")) ?? "CALLS");
  const [format, setFormat] = useState<ExportFormat>("CSV");
  const [zip, setZip] = useState(false);
  const [rhythm, setRhythm] = useState<Rhythm>("ONCE");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const rows = useAnswer(RowsOfExport, { filter: callFilter }, { wanted: kind === "CALLS" && rhythm === "ONCE" });
  const rhythms: Rhythm[] = session.mayAsk("createExportSchedule") ? ["ONCE", "DAY", "MONTH"] : ["ONCE"];

  const make = async () => {
    setBusy(true);
    const input = inputOf({ kind, format, zip }, { calls: callFilter, errors: errorFilterOf(filter, period), zone }, rhythm === "ONCE");
    const { error } =
      rhythm === "ONCE"
        ? await client.mutation(MakeExport, { input }).toPromise()
        : await client.mutation(MakeSchedule, { input: { every: rhythm, timeZone: zone, export: input } }).toPromise();
    setProblem(firstProblem(error));
    setBusy(false);
    made();
  };

  return (
    <form
      className="export-form"
      onSubmit={(event) => {
        event.preventDefault();
        void make();
      }}
    >
      <h2>{word.ask}</h2>
      <div className="export-choices">
        <Choice<ExportKind> label={word.kind} options={KINDS.map((value) => ({ value, text: word.kinds[value] }))} value={kind} change={setKind} />
        <Choice<ExportFormat> label={word.format} options={FORMATS.map((value) => ({ value, text: word.formats[value] }))} value={format} change={setFormat} />
        <Choice<Rhythm> label={word.rhythm} options={rhythms.map((value) => ({ value, text: word.rhythms[value] }))} value={rhythm} change={setRhythm} />
        {format !== "PARQUET" && (
          <label className="export-zip">
            <input type="checkbox" checked={zip} onChange={(event) => setZip(event.target.checked)} />
            {word.zip}
          </label>
        )}
      </div>
      <p className="quiet">
        {word.about[kind]} {word.columns} {rows.data?.calls && kind === "CALLS" && rhythm === "ONCE" ? word.rowsOf(count(rows.data.calls.totalCount)) : ""}
      </p>
      {problem && <ProblemNote problem={problem} again={() => void make()} />}
      <Button kind="primary" type="submit" icon="download" busy={busy}>
        {rhythm === "ONCE" ? word.make : word.schedule}
      </Button>
    </form>
  );
}
