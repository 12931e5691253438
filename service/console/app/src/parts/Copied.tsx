import { useEffect, useState } from "react";
import { useWords } from "../language/useWords";
import { copyText } from "./clipboard";
import { Icon } from "./Icon";
import { words } from "./words";

/** An id or another short text of a machine, with a button that copies it. */
export function Copied({ text, shown = text }: { text: string; shown?: string }) {
  const word = useWords(words);
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async () => setCopied(await copyText(text));
  return (
    <span className="copied">
      <code title={text}>{shown}</code>
      <button type="button" className="copied-button" aria-label={word.copy(text)} onClick={() => void copy()}>
        <Icon name={copied ? "check" : "copy"} />
      </button>
      <span className="unseen" role="status">
        {copied ? word.copied : ""}
      </span>
    </span>
  );
}
