import type { CallStatus } from "../api/gql/graphql";
import { useWords } from "../language/useWords";
import { words } from "./words";

/** How a call ended, by colour and by word. */
export function StatusBadge({ status }: { status: CallStatus }) {
  const word = useWords(words);
  return <span className={`status status-${status === "FAILED" ? "bad" : "good"}`}>{word.status[status]}</span>;
}
