import { useState } from "react";
import { useClient } from "urql";
import type { Checkpoint, Doubt } from "../../../evidence/checkpoint";
import { useWords } from "../../../language/useWords";
import { count } from "../../../numbers/figures";
import { Button } from "../../../parts/controls/Button";
import type { Proved } from "./Ledger";
import { proveEntry, proveHistory, trusted } from "./proving";
import { useWordOf } from "../useWordOf";
import { words } from "../words";

interface Props {
  entries: readonly { readonly index: string; readonly leaf: string }[];
  proved(found: Proved): void;
}

interface Outcome {
  readonly checkpoint: Checkpoint;
  readonly good: number;
  readonly uncovered: number;
  readonly bad: number;
  /** Undefined: no older checkpoint was given. */
  readonly history: Doubt | null | undefined;
}

/** What a verifier key looks like. */
const FORM = "calledger/…+00000000+AQ…";
const AT_ONCE = 8;

/** Checks the newest checkpoint against a key that the auditor has, and each entry that is shown against it. */
export function Verification({ entries, proved }: Props) {
  const word = useWords(words);
  const text = useWordOf();
  const client = useClient();
  const [key, setKey] = useState("");
  const [kept, setKept] = useState("");
  const [busy, setBusy] = useState(false);
  const [outcome, setOutcome] = useState<Outcome | Doubt | null>(null);

  const verify = async () => {
    setBusy(true);
    proved(new Map());
    const checkpoint = await trusted(client, key);
    if (typeof checkpoint === "string") {
      setOutcome(checkpoint);
      setBusy(false);
      return;
    }
    const found = new Map<string, Doubt | null>();
    for (let at = 0; at < entries.length; at += AT_ONCE) {
      await Promise.all(
        entries.slice(at, at + AT_ONCE).map(async ({ index, leaf }) => found.set(index, await proveEntry(client, checkpoint, index, leaf))),
      );
    }
    const history = kept.trim() === "" ? undefined : await proveHistory(client, checkpoint, kept, key);
    const doubts = [...found.values()];
    const good = doubts.filter((doubt) => doubt === null).length;
    const uncovered = doubts.filter((doubt) => doubt === "notCovered").length;
    proved(found);
    setOutcome({ checkpoint, good, uncovered, bad: doubts.length - good - uncovered, history });
    setBusy(false);
  };

  return (
    <form
      className="verification"
      onSubmit={(event) => {
        event.preventDefault();
        void verify();
      }}
    >
      <h2>{word.verify}</h2>
      <p className="quiet">{word.verifyWhy}</p>
      <label>
        {word.key}
        <input className="mono" required spellCheck={false} autoComplete="off" placeholder={FORM} value={key} onChange={(event) => setKey(event.target.value)} />
      </label>
      <label>
        {word.kept}
        <textarea className="mono" rows={2} spellCheck={false} value={kept} onChange={(event) => setKept(event.target.value)} />
      </label>
      <Button kind="primary" type="submit" busy={busy} disabled={entries.length === 0}>
        {word.verifyEntries(count(entries.length))}
      </Button>
      <div role="status">
        {typeof outcome === "string" && <p className="verdict verdict-bad">{word.notVerified(text("doubts", outcome))}</p>}
        {outcome !== null && typeof outcome !== "string" && (
          <div className={outcome.bad === 0 && !outcome.history ? "verdict verdict-good" : "verdict verdict-bad"}>
            <p>{outcome.bad === 0 ? word.allVerified(count(outcome.good), count(String(outcome.checkpoint.size))) : word.someBad(count(outcome.bad))}</p>
            {outcome.uncovered > 0 && <p>{word.uncovered(count(outcome.uncovered))}</p>}
            {outcome.history !== undefined && <p>{outcome.history === null ? word.continued : text("doubts", outcome.history)}</p>}
          </div>
        )}
      </div>
    </form>
  );
}
