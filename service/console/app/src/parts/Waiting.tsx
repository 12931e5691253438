import { useWords } from "../language/useWords";
import { words } from "./words";

/** The place of what is being asked for: grey lines, and a word for screen readers. */
export function Waiting({ lines = 3 }: { lines?: number }) {
  const word = useWords(words);
  return (
    <div className="waiting" role="status">
      <span className="unseen">{word.loading}</span>
      {Array.from({ length: lines }, (_, line) => (
        <span key={line} className="waiting-line" />
      ))}
    </div>
  );
}
