import { useState } from "react";
import { useMutation } from "urql";
import type { Role } from "../../api/gql/graphql";
import { firstProblem } from "../../api/problem";
import { useWords } from "../../language/useWords";
import { Button } from "../../parts/controls/Button";
import { Dialog } from "../../parts/controls/Dialog";
import { ProblemNote } from "../../parts/ProblemNote";
import { words as shellWords } from "../../shell/words";
import { fromClock, useZone, zoneName } from "../../time/zone";
import { MakeKey } from "./documents";
import { NewKey } from "./NewKey";
import { words } from "./words";

const ROLES: readonly Role[] = ["VIEWER", "PARTNER", "SUPPORT", "AUDITOR", "COMPLIANCE", "INGEST", "ADMIN"];

/** What a new key is to be, and its secret once it is there. */
export function MakeKeyDialog({ close }: { close(): void }) {
  const word = useWords(words);
  const roles = useWords(shellWords).role;
  const zone = useZone();
  const [role, setRole] = useState<Role>("VIEWER");
  const [name, setName] = useState("");
  const [accounts, setAccounts] = useState("");
  const [ends, setEnds] = useState("");
  const [{ data, error, fetching }, make] = useMutation(MakeKey);
  const problem = firstProblem(error);
  const key = data?.createApiKey?.key;
  const named = accounts.split(",").map((one) => one.trim()).filter((one) => one !== "");
  return (
    <Dialog title={word.make} close={close}>
      {key !== undefined ? (
        <NewKey text={key} close={close} />
      ) : (
        <form
          className="keys-form"
          onSubmit={(event) => {
            event.preventDefault();
            void make({
              input: { role, ...(name !== "" && { name }), ...(named.length > 0 && { accounts: named }), ...(ends !== "" && { expiresAt: fromClock(ends, zone) }) },
            });
          }}
        >
          <label>
            {word.role}
            <select value={role} onChange={(event) => setRole(event.target.value as Role)}>
              {ROLES.map((one) => (
                <option key={one} value={one}>
                  {roles[one]}
                </option>
              ))}
            </select>
          </label>
          <p className="quiet">{word.may[role]}</p>
          <label>
            {word.nameOf}
            <input value={name} maxLength={200} onChange={(event) => setName(event.target.value)} />
          </label>
          <label>
            {word.accountsOf}
            <input value={accounts} required={role === "PARTNER"} onChange={(event) => setAccounts(event.target.value)} />
          </label>
          <label>
            {word.endsOf(zoneName(zone))}
            <input type="datetime-local" value={ends} onChange={(event) => setEnds(event.target.value)} />
          </label>
          {problem && <ProblemNote problem={problem} />}
          <Button kind="primary" type="submit" busy={fetching}>
            {word.make}
          </Button>
        </form>
      )}
    </Dialog>
  );
}
