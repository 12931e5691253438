import { useWords } from "../../language/useWords";
import { count } from "../../numbers/figures";
import type { Report } from "./file";
import { words } from "./words";

interface Props {
  kinds: Report["kinds"];
  /** None: all are shown. */
  chosen: readonly string[];
  choose(kinds: readonly string[]): void;
}

/** How many calls differ in which way; those that are ticked are listed. */
export function Kinds({ kinds, chosen, choose }: Props) {
  const word = useWords(words);
  return (
    <fieldset className="recon-kinds">
      <legend className="unseen">{word.kinds}</legend>
      {kinds.map(({ kind, calls }) => (
        <label key={kind}>
          <input
            type="checkbox"
            checked={chosen.includes(kind)}
            onChange={({ target }) => choose(target.checked ? [...chosen, kind] : chosen.filter((one) => one !== kind))}
          />
          {word.kind[kind]} <span className="badge">{count(calls)}</span>
        </label>
      ))}
    </fieldset>
  );
}
