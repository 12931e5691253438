import { useState } from "react";
import { useMutation } from "urql";
import { firstProblem } from "../../api/problem";
import { useWords } from "../../language/useWords";
import { Button } from "../../parts/controls/Button";
import { Dialog } from "../../parts/controls/Dialog";
import { ProblemNote } from "../../parts/ProblemNote";
import { ReplaceKey } from "./documents";
import type { ApiKey } from "./KeysPage";
import { NewKey } from "./NewKey";
import { words } from "./words";

const HOURS_MAX = 2160;

/** A new key in the place of one, which still works for some hours. */
export function ReplaceKeyDialog({ apiKey, close }: { apiKey: ApiKey; close(): void }) {
  const word = useWords(words);
  const [hours, setHours] = useState("24");
  const [{ data, error, fetching }, replace] = useMutation(ReplaceKey);
  const problem = firstProblem(error);
  const key = data?.rotateApiKey?.key;
  return (
    <Dialog title={word.replaceOf(apiKey.keyId)} close={close}>
      {key !== undefined ? (
        <NewKey text={key} close={close} />
      ) : (
        <form
          className="keys-form"
          onSubmit={(event) => {
            event.preventDefault();
            void replace({ input: { id: apiKey.id, overlapHours: Number(hours) } });
          }}
        >
          <label>
            {word.overlap}
            <input type="number" required min={0} max={HOURS_MAX} step={1} value={hours} onChange={(event) => setHours(event.target.value)} />
          </label>
          {problem && <ProblemNote problem={problem} />}
          <Button kind="primary" type="submit" busy={fetching}>
            {word.replace}
          </Button>
        </form>
      )}
    </Dialog>
  );
}
