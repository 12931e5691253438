import { useEffect, useState } from "react";
import { useClient } from "urql";
import { type Problem, firstProblem } from "../../api/problem";
import { useAnswer } from "../../api/useAnswer";
import { useWords } from "../../language/useWords";
import { count, size } from "../../numbers/figures";
import { Button } from "../../parts/controls/Button";
import { Copied } from "../../parts/copying/Copied";
import { FileLink } from "../../parts/FileLink";
import { ProblemNote } from "../../parts/ProblemNote";
import { Said } from "../../parts/Said";
import { EvidenceFile, MakeEvidence } from "./documents";
import { words } from "./words";

const EVERY_MS = 1_500;

/** A signed bundle of the ledger to take away: it is verified without us. */
export function Evidence() {
  const word = useWords(words);
  const client = useClient();
  const [since, setSince] = useState("");
  const [made, setMade] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const make = async () => {
    setBusy(true);
    const { data, error } = await client.mutation(MakeEvidence, { input: since === "" ? {} : { sinceSize: since } }).toPromise();
    setProblem(firstProblem(error));
    setMade(data?.createEvidence?.export.id ?? null);
    setBusy(false);
  };
  return (
    <form
      className="verification"
      onSubmit={(event) => {
        event.preventDefault();
        void make();
      }}
    >
      <h2>{word.evidence}</h2>
      <p className="quiet">{word.evidenceWhy}</p>
      <label>
        {word.since}
        <input inputMode="numeric" pattern="[0-9]{1,18}" value={since} onChange={(event) => setSince(event.target.value)} />
      </label>
      <Button type="submit" busy={busy} icon="download">
        {word.makeEvidence}
      </Button>
      {problem && <ProblemNote problem={problem} />}
      {made !== null && <Bundle id={made} />}
    </form>
  );
}

function Bundle({ id }: { id: string }) {
  const word = useWords(words);
  const client = useClient();
  const { data, problem, again } = useAnswer(EvidenceFile, { id });
  const file = data?.export;
  const waits = file == null || file.state === "QUEUED" || file.state === "RUNNING";
  useEffect(() => {
    if (!waits) return;
    const timer = setInterval(again, EVERY_MS);
    return () => clearInterval(timer);
  }, [waits, again]);
  const renewed = async () => {
    const { data: found } = await client.query(EvidenceFile, { id }).toPromise();
    if (!found?.export?.signedUrl) again();
    return found?.export?.signedUrl ?? null;
  };
  if (problem) return <ProblemNote problem={problem} again={again} />;
  if (waits) return <p role="status">{word.making(count(file?.rows ?? "0"))}</p>;
  if (file.signedUrl == null) return <p role="alert">{file.failure == null ? word.gone : <Said text={file.failure} />}</p>;
  return (
    <p role="status" className="retention-bar">
      <FileLink kind="primary" signedUrl={file.signedUrl} renewed={renewed}>
        {word.download(size(file.bytes ?? "0"))}
      </FileLink>
      {file.sha256 != null && <Copied text={file.sha256} shown={file.sha256.slice(0, 23)} />}
    </p>
  );
}
