import { useWords } from "../../language/useWords";
import { Button } from "../../parts/controls/Button";
import { Copied } from "../../parts/copying/Copied";
import { Moment } from "../../parts/Moment";
import { PlainTable } from "../../parts/PlainTable";
import { useSession } from "../../session/SessionContext";
import { words as shellWords } from "../../shell/words";
import { toTheMinute } from "../../time/zone";
import type { ApiKey } from "./KeysPage";
import { words } from "./words";

const STATES: Readonly<Record<ApiKey["state"], string>> = { LIVE: "badge badge-good", EXPIRED: "badge", REVOKED: "badge", REFUSED: "badge badge-bad" };

interface Props {
  keys: readonly ApiKey[];
  doing(what: "replace" | "end", key: ApiKey): void;
}

/** The keys with what can be done to each by who is signed in with a key. */
export function KeyTable({ keys, doing }: Props) {
  const word = useWords(words);
  const roles = useWords(shellWords).role;
  const session = useSession();
  const may = (root: string) => session.mayAsk(root) && session.kind === "key";
  const actions = (key: ApiKey) => (
    <span className="keys-bar">
      {key.state === "LIVE" && may("rotateApiKey") && (
        <Button aria-label={word.replaceOf(key.keyId)} onClick={() => doing("replace", key)}>
          {word.replace}
        </Button>
      )}
      {key.state !== "REVOKED" && may("revokeApiKey") && (
        <Button kind="danger" aria-label={word.endOf(key.keyId)} onClick={() => doing("end", key)}>
          {word.end}
        </Button>
      )}
    </span>
  );
  return (
    <PlainTable
      caption={word.keys}
      rows={keys}
      keyOf={({ id }) => id}
      columns={[
        { name: "id", title: word.id, cell: ({ keyId }) => <Copied text={keyId} /> },
        { name: "name", title: word.name, cell: ({ name }) => name ?? "–" },
        { name: "role", title: word.role, cell: ({ role }) => roles[role] },
        { name: "accounts", title: word.accounts, cell: ({ accounts }) => accounts?.join(", ") ?? word.every },
        { name: "state", title: word.state, cell: ({ state }) => <span className={STATES[state]}>{word.states[state]}</span> },
        { name: "made", title: word.made, cell: ({ createdAt }) => <Moment text={toTheMinute} at={createdAt} /> },
        { name: "used", title: word.used, cell: ({ lastUsedAt }) => (lastUsedAt ? <Moment text={toTheMinute} at={lastUsedAt} /> : word.never) },
        { name: "ends", title: word.ends, cell: ({ expiresAt, revokedAt }) => (revokedAt ?? expiresAt ? <Moment text={toTheMinute} at={revokedAt ?? expiresAt ?? ""} /> : word.never) },
        { name: "actions", wide: true, title: <span className="unseen">{word.actions}</span>, cell: actions },
      ]}
    />
  );
}
