import { useWords } from "../../../language/useWords";
import { count } from "../../../numbers/figures";
import { Button } from "../../../parts/controls/Button";
import type { Tailed } from "./useTail";
import { words } from "../words";

interface Props {
  tailed: Tailed;
  on: boolean;
  possible: boolean;
  toggle(): void;
  show(): void;
}

/** Whether new calls are listened for, and how many have come: they are shown when somebody wants to see them. */
export function LiveTail({ tailed, on, possible, toggle, show }: Props) {
  const word = useWords(words);
  return (
    <>
      {on && tailed.fresh > 0 && (
        <Button kind="primary" onClick={show}>
          {word.fresh(count(tailed.fresh), tailed.fresh)}
        </Button>
      )}
      <span className="unseen" role="status">
        {on && tailed.fresh > 0 ? word.fresh(count(tailed.fresh), tailed.fresh) : tailed.state === "broken" ? word.tail.broken : ""}
      </span>
      <Button
        icon={on ? "pause" : "play"}
        aria-pressed={on}
        disabled={!possible}
        title={possible ? word.tail[tailed.state] : word.notLive}
        onClick={toggle}
      >
        {word.live}
        {on && <span className={`live-mark live-${tailed.state}`} aria-hidden="true" />}
      </Button>
    </>
  );
}
