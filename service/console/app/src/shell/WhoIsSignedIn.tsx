import { useWords } from "../language/useWords";
import { Button } from "../parts/controls/Button";
import { useSigned } from "../session/SessionContext";
import { minute, useZone } from "../time/zone";
import { words } from "./words";

/** The role, the accounts, when the session ends, and the way out. */
export function WhoIsSignedIn() {
  const word = useWords(words);
  const zone = useZone();
  const { session, signOut } = useSigned();
  const accounts = session.accounts?.join(", ") ?? word.everyAccount;
  return (
    <div className="who">
      <p>
        <strong>{word.role[session.role]}</strong>
        <span title={accounts}>{accounts}</span>
        {session.kind === "key" && <span>{word.byKey}</span>}
        {session.kind === "token" && session.expiresAt !== null && <span>{word.until(minute(session.expiresAt, zone))}</span>}
      </p>
      <Button kind="quiet" icon="exit" aria-label={word.signOut} onClick={signOut} />
    </div>
  );
}
