import { useWords } from "../../language/useWords";
import { Button } from "../../parts/controls/Button";
import { Copied } from "../../parts/copying/Copied";
import { words } from "./words";

/** A secret, this once. */
export function NewKey({ text, close }: { text: string; close(): void }) {
  const word = useWords(words);
  return (
    <div className="keys-form">
      <p role="status">{word.once}</p>
      <p className="keys-secret">
        <Copied text={text} />
      </p>
      <Button kind="primary" onClick={close}>
        {word.kept}
      </Button>
    </div>
  );
}
