import { useState } from "react";
import { useClient } from "urql";
import type { DifferenceKind, OneReconciliationQueryVariables } from "../../api/gql/graphql";
import { ask } from "../../api/ask";
import { type Problem, firstProblem } from "../../api/problem";
import { useWords } from "../../language/useWords";
import { count } from "../../numbers/figures";
import { Button } from "../../parts/controls/Button";
import { ProblemNote } from "../../parts/ProblemNote";
import { OneReconciliation } from "./documents";
import { type Difference, type Format, type Report, csvOf, fileName, jsonOf, reportOf } from "./file";
import { words } from "./words";

const A_PAGE = 200;

/** The differences of the chosen kinds as a file, of all pages. */
export function Download({ report, kinds }: { report: Report; kinds: readonly DifferenceKind[] }) {
  const word = useWords(words);
  const client = useClient();
  const [read, setRead] = useState<number | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);

  const all = async (): Promise<Difference[] | Problem> => {
    const found: Difference[] = [];
    let after: string | null = null;
    do {
      const variables: OneReconciliationQueryVariables = { id: report.id, first: A_PAGE, after, kinds: kinds.length > 0 ? [...kinds] : null };
      const { data, error } = await ask(client, OneReconciliation, variables, new AbortController().signal);
      const failed = firstProblem(error);
      if (failed !== null) return failed;
      const page: Report["differences"] | undefined = reportOf(data)?.differences;
      found.push(...(page?.nodes ?? []));
      setRead(found.length);
      after = page?.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? null) : null;
    } while (after !== null);
    return found;
  };
  const download = async (format: Format) => {
    setRead(0);
    const found = await all();
    setRead(null);
    setProblem(Array.isArray(found) ? null : found);
    if (Array.isArray(found)) save(fileName(report, format), format === "csv" ? csvOf(found) : jsonOf(report, found), format);
  };
  return (
    <span className="recon-files">
      {read !== null && <span role="status" className="quiet">{word.reading(count(read), count(report.differences.totalCount))}</span>}
      {(["csv", "json"] as const).map((format) => (
        <Button key={format} icon="download" disabled={read !== null} onClick={() => void download(format)}>
          {format.toUpperCase()}
        </Button>
      ))}
      {problem !== null && <ProblemNote problem={problem} />}
    </span>
  );
}

/** Has the browser keep a text as a file. */
function save(name: string, text: string, format: Format): void {
  const type = format === "csv" ? "text/csv;charset=utf-8" : "application/json";
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = Object.assign(document.createElement("a"), { href: address, download: name });
  link.click();
  URL.revokeObjectURL(address);
}
