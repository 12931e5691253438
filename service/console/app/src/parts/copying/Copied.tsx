import { useWords } from "../../language/useWords";
import { Icon } from "../Icon";
import { useCopy } from "./useCopy";
import { words } from "../words";

/** An id or another short text of a machine, with a button that copies it. */
export function Copied({ text, shown = text }: { text: string; shown?: string }) {
  const word = useWords(words);
  const [copied, copy] = useCopy();
  return (
    <span className="copied">
      <code title={text}>{shown}</code>
      <button type="button" className="copied-button" aria-label={word.copy(text)} onClick={() => copy(text)}>
        <Icon name={copied ? "check" : "copy"} />
      </button>
      <span className="unseen" role="status">
        {copied ? word.copied : ""}
      </span>
    </span>
  );
}
