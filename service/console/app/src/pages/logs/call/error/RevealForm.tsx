import { type FormEvent, useState } from "react";
import { useMutation } from "urql";
import type { RevealMutation } from "../../../../api/gql/graphql";
import { firstProblem } from "../../../../api/problem";
import { useWords } from "../../../../language/useWords";
import { Button } from "../../../../parts/controls/Button";
import { ProblemNote } from "../../../../parts/ProblemNote";
import { useSession } from "../../../../session/SessionContext";
import { Reveal } from "../documents";
import type { CallError } from "../useCall";
import { words } from "../words";

interface Props {
  error: CallError;
  revealed(found: NonNullable<RevealMutation["revealError"]>): void;
}

/** Opens what is sealed, with a reason that is written into the ledger first; for those who may, and nothing for others. */
export function RevealForm({ error, revealed }: Props) {
  const word = useWords(words);
  const session = useSession();
  const [{ fetching, error: failed }, reveal] = useMutation(Reveal);
  const [reason, setReason] = useState("");
  const problem = firstProblem(failed);
  if (!session.mayAsk("revealError")) return null;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const { data } = await reveal({ errorId: error.id, reason: reason.trim() });
    if (data?.revealError) revealed(data.revealError);
  };
  return (
    <form className="reveal" onSubmit={(event) => void submit(event)}>
      <label>
        <span>{word.reason}</span>
        <input value={reason} required maxLength={500} placeholder={word.reasonHint} onChange={(event) => setReason(event.target.value)} />
      </label>
      <Button type="submit" icon="eye" busy={fetching} disabled={reason.trim() === ""}>
        {word.reveal}
      </Button>
      <p className="quiet">{word.revealNote}</p>
      {problem !== null && <ProblemNote problem={problem} />}
    </form>
  );
}
