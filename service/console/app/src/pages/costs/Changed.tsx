import { useWords } from "../../language/useWords";
import { compact, percent } from "../../numbers/figures";
import { words } from "./words";

interface Props {
  /** As a part of what it was; null: there was nothing before. */
  change: number | null;
  good: "less" | "more" | "neither";
}

/** Above it, how many times as much it is says more than a percentage does. */
const MOST = 9.99;
/** More than this says no more than that there was next to nothing before. */
export const TIMES_MOST = 100;

/** By how much something differs from the period before: by a sign and words, not by colour alone. */
export function Changed({ change, good }: Props) {
  const word = useWords(words);
  if (change === null || change > TIMES_MOST) return null;
  const more = change > 0;
  const kind = good === "neither" || Math.abs(change) < 0.005 ? "" : (good === "more") === more ? "changed-good" : "changed-bad";
  return (
    <span className={`changed ${kind}`} title={word.changedHint}>
      {change > MOST ? `×${compact(Math.round(change + 1))}` : `${more ? "+" : change < 0 ? "−" : "±"}${percent(Math.abs(change))}`}
      <span className="unseen"> {word.changedHint}</span>
    </span>
  );
}
