import { useAddress } from "../../address/address";
import { useWords } from "../../language/useWords";
import { Choice } from "../../parts/controls/Choice";
import { useSession } from "../../session/SessionContext";
import { Classes } from "./Classes";
import { Destructions } from "./Destructions";
import { Evidence } from "./Evidence";
import { Ledger } from "./ledger/Ledger";
import { PolicyTable } from "./PolicyTable";
import { Statements } from "./Statements";
import "./retention.css";
import { words } from "./words";

const PARTS = [
  { name: "kept", roots: ["retention"], Shown: Classes },
  { name: "gone", roots: ["purgeRuns", "holds", "erasures"], Shown: Destructions },
  { name: "ledger", roots: ["ledger"], Shown: Ledger },
  { name: "evidence", roots: ["createEvidence", "attestations"], Shown: TakenAway },
  { name: "policy", roots: ["policy"], Shown: PolicyTable },
] as const;

/** What an auditor asks: what is kept for how long, what was destroyed and held, who looked, and the policy; with proof. */
export default function RetentionPage() {
  const word = useWords(words);
  const session = useSession();
  const [parameters, change] = useAddress();
  const parts = PARTS.filter(({ roots }) => roots.some((root) => session.mayAsk(root)));
  const part = parts.find(({ name }) => name === parameters.get("part")) ?? parts[0];
  return (
    <div className="page-body retention">
      <Choice
        label={word.part}
        options={parts.map(({ name }) => ({ value: name, text: word.parts[name] }))}
        value={part?.name ?? "kept"}
        change={(value) => change({ part: value })}
      />
      {part && <part.Shown />}
    </div>
  );
}

/** What can be taken away and verified without us: a bundle of the ledger, and statements of retention. */
function TakenAway() {
  const session = useSession();
  return (
    <>
      {session.mayAsk("createEvidence") && <Evidence />}
      {session.mayAsk("attestations") && <Statements />}
    </>
  );
}
