import { useMutation } from "urql";
import { firstProblem } from "../../api/problem";
import { useWords } from "../../language/useWords";
import { Button } from "../../parts/controls/Button";
import { Dialog } from "../../parts/controls/Dialog";
import { ProblemNote } from "../../parts/ProblemNote";
import { EndKey } from "./documents";
import type { ApiKey } from "./KeysPage";
import { words } from "./words";

/** Asks before a key is ended, which cannot be taken back. */
export function EndKeyDialog({ apiKey, close }: { apiKey: ApiKey; close(): void }) {
  const word = useWords(words);
  const [{ error, fetching }, end] = useMutation(EndKey);
  const problem = firstProblem(error);
  return (
    <Dialog title={word.endOf(apiKey.keyId)} close={close}>
      <div className="keys-form">
        <p>{word.endWhy(apiKey.name ?? apiKey.keyId)}</p>
        {problem && <ProblemNote problem={problem} />}
        <Button
          kind="danger"
          busy={fetching}
          onClick={() => {
            void end({ input: { id: apiKey.id } }).then((result) => {
              if (!result.error) close();
            });
          }}
        >
          {word.endForGood}
        </Button>
      </div>
    </Dialog>
  );
}
