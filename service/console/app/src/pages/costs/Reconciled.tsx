import { Link, useSearch } from "wouter";
import { linkWithTime } from "../../address/search";
import { graphql } from "../../api/gql";
import { useAnswer } from "../../api/useAnswer";
import { useWords } from "../../language/useWords";
import { count } from "../../numbers/figures";
import { words } from "./words";

const LastReconciliation = graphql(`
  query LastReconciliation {
    reconciliations(first: 1) {
      nodes {
        id
        name
        firstDay
        lastDay
        differing
        failure
      }
    }
  }
`);

/** What these costs were last compared with, and whether they differ; nothing where they never were. */
export function Reconciled() {
  const word = useWords(words);
  const search = useSearch();
  const { data } = useAnswer(LastReconciliation, {});
  const last = data?.reconciliations?.nodes[0];
  if (last === undefined) return null;
  const { id, name, firstDay, lastDay, differing, failure } = last;
  return (
    <p className="quiet">
      {word.reconciled} <Link href={linkWithTime("reconciliations", search, { reconciliation: id })}>{name}</Link>
      {word.forDays(firstDay, lastDay)} {failure == null ? word.differ(count(differing), differing) : word.notCompared}
    </p>
  );
}
