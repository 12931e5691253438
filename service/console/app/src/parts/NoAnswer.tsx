import type { Problem } from "../api/problem";
import { useWords } from "../language/useWords";
import { Empty } from "./Empty";
import { ProblemNote } from "./ProblemNote";
import { Said } from "./Said";
import { words } from "./words";

interface Props {
  problem: Problem;
  again?: () => void;
}

/** Why there is no answer: the time is purged, the role may not, or something went wrong, which can be tried again. */
export function NoAnswer({ problem, again }: Props) {
  const word = useWords(words);
  if (problem.code === "OUT_OF_RETENTION" || problem.code === "FORBIDDEN") {
    return (
      <Empty title={word.problem[problem.code]}>
        {problem.message !== "" && (
          <p className="quiet">
            <Said text={problem.message} />
          </p>
        )}
      </Empty>
    );
  }
  return <ProblemNote problem={problem} {...(again && { again })} />;
}
