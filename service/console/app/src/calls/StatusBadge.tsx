import type { CallStatus } from "../api/gql/graphql";
import { useWords } from "../language/useWords";
import { words } from "./words";

/** How a call ended, by colour and by word. */
export function StatusBadge({ status }: { status: CallStatus }) {
  const word = useWords(words);
  return <span className={statusLook(status)}>{word.status[status]}</span>;
}

/** The classes of that, for what has the word. */
export function statusLook(status: CallStatus): string {
  return status === "FAILED" ? "status status-bad" : "status status-good";
}
