import { useAddress } from "../../address/address";
import { useWords } from "../../language/useWords";
import { Choice } from "../../parts/controls/Choice";
import { useSession } from "../../session/SessionContext";
import { Classes } from "./Classes";
import { Destructions } from "./Destructions";
import { Evidence } from "./Evidence";
import { Ledger } from "./Ledger";
import { PolicyTable } from "./PolicyTable";
import { Statements } from "./Statements";
import "./retention.css";
import { words } from "./words";

const PARTS = [
  { name: "kept", roots: ["retention"] },
  { name: "gone", roots: ["purgeRuns", "holds", "erasures"] },
  { name: "ledger", roots: ["ledger"] },
  { name: "policy", roots: ["policy"] },
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
      {part?.name === "kept" && <Classes />}
      {part?.name === "gone" && <Destructions />}
      {part?.name === "ledger" && (
        <>
          <Ledger />
          {session.mayAsk("createEvidence") && <Evidence />}
          {session.mayAsk("attestations") && <Statements />}
        </>
      )}
      {part?.name === "policy" && <PolicyTable />}
    </div>
  );
}
