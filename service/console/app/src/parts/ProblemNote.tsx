import type { Problem } from "../api/problem";
import { useWords } from "../language/useWords";
import { Button } from "./controls/Button";
import { Copied } from "./copying/Copied";
import { Said } from "./Said";
import { words } from "./words";

interface Props {
  problem: Problem;
  /** Asks once more. */
  again?: () => void;
}

type Known = keyof (typeof words)["en"]["problem"];

/** What went wrong and what to do, in the reader's language; the service's own words, and the id for its operator. */
export function ProblemNote({ problem, again }: Props) {
  const word = useWords(words);
  const advice = word.problem[problem.code as Known] ?? word.problem.OTHER;
  return (
    <div className="problem" role="alert">
      <p>
        <strong>{advice}</strong>
      </p>
      {problem.message !== "" && (
        <p className="problem-message">
          <span className="quiet">{word.said}</span> <Said text={problem.message} />
        </p>
      )}
      <p className="problem-foot">
        <code>{problem.code}</code>
        {problem.requestId !== null && (
          <>
            <span>{word.requestId}</span>
            <Copied text={problem.requestId} />
          </>
        )}
        {again && (
          <Button icon="refresh" onClick={again}>
            {word.retry}
          </Button>
        )}
      </p>
    </div>
  );
}
