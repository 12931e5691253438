import { useWords } from "../../language/useWords";
import { percent } from "../../numbers/figures";
import { words } from "./words";

interface Props {
  /** As a part of what it was; null: there was nothing before. */
  change: number | null;
  good: "less" | "more" | "neither";
}

/** More than this says no more than that there was next to nothing before. */
const MOST = 9.99;

/** By how much something differs from the period before: by a sign and words, not by colour alone. */
export function Changed({ change, good }: Props) {
  const word = useWords(words);
  if (change === null) return null;
  const more = change > 0;
  const kind = good === "neither" || Math.abs(change) < 0.005 ? "" : (good === "more") === more ? "changed-good" : "changed-bad";
  return (
    <span className={`changed ${kind}`} title={word.changedHint}>
      {more ? "+" : change < 0 ? "−" : "±"}
      {Math.abs(change) > MOST ? `>${percent(MOST)}` : percent(Math.abs(change))}
      <span className="unseen"> {word.changedHint}</span>
    </span>
  );
}
