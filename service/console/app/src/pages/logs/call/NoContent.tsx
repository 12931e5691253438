import { Link, useSearch } from "wouter";
import { linkWithTime } from "../../../address/search";
import { useAnswer } from "../../../api/useAnswer";
import { useWords } from "../../../language/useWords";
import { Icon } from "../../../parts/Icon";
import { useSession } from "../../../session/SessionContext";
import { pagesOf } from "../../../shell/pages";
import { Windows } from "./documents";
import { words } from "./words";

/** Why there is no prompt and no completion, and for how long the rest is kept. */
export function NoContent() {
  const word = useWords(words);
  const search = useSearch();
  const session = useSession();
  const { data } = useAnswer(Windows, {}, { wanted: session.mayAsk("policy") });
  const windows = data?.policy?.windows ?? [];
  const days = (store: string) => {
    // A row stays as long as the class of it that stays longest; tiers differ.
    const rows = new Map<string, number>();
    for (const one of windows) if (one.store === store) rows.set(one.tier, Math.max(one.windowDays, rows.get(one.tier) ?? 0));
    return rows.size === 0 ? null : { least: Math.min(...rows.values()), most: Math.max(...rows.values()) };
  };
  const [calls, errors] = [days("CALL"), days("CALL_ERROR")];
  return (
    <section className="call-part no-content">
      <h3>
        <Icon name="shield" />
        {word.noContent}
      </h3>
      <p>{word.noContentWhy}</p>
      {calls !== null && errors !== null && <p>{word.keptFor(span(calls), span(errors))}</p>}
      {pagesOf(session).some((page) => page.path === "retention") && (
        <p>
          <Link href={linkWithTime("retention", search)}>{word.retention}</Link>
        </p>
      )}
    </section>
  );
}

function span({ least, most }: { least: number; most: number }): string {
  return least === most ? String(least) : `${least}–${most}`;
}
