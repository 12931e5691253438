import type { CallStatus } from "../api/gql/graphql";
import { useWords } from "../language/useWords";
import { words } from "./words";

/** How a call ended, by colour and by word. */
export function StatusBadge({ status }: { status: CallStatus }) {
  const word = useWords(words);
  return <StatusText status={status} text={word.status[status]} />;
}

/** The same with the word given, for what is drawn often. */
export function StatusText({ status, text }: { status: CallStatus; text: string }) {
  return <span className={`status status-${status === "FAILED" ? "bad" : "good"}`}>{text}</span>;
}
