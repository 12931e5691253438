import { useState } from "react";
import { Link, useSearch } from "wouter";
import { linkWithTime } from "../../../../address/search";
import type { RevealMutation } from "../../../../api/gql/graphql";
import { Masked } from "../../../../calls/Masked";
import { useWords } from "../../../../language/useWords";
import { count } from "../../../../numbers/figures";
import { PlainTable } from "../../../../parts/PlainTable";
import { PAGES } from "../../../../shell/pages";
import { RevealForm } from "./RevealForm";
import type { CallError } from "../useCall";
import { words } from "../words";

type Revealed = NonNullable<RevealMutation["revealError"]>;

/** The error: its message with what was taken out marked by its rule, why there is no more of it, and, for those who may,
 * the way to what is sealed. */
export function ErrorDetails({ error }: { error: CallError }) {
  const word = useWords(words);
  const search = useSearch();
  const [revealed, setRevealed] = useState<Revealed | null>(null);
  const shown = revealed?.error ?? error;
  const { parameters } = shown;
  return (
    <section className="call-part call-error">
      <h3>
        {error.type}
        {error.code != null && <span className="badge badge-bad">{error.code}</span>}
      </h3>
      {shown.message != null && (
        <p className="message">
          <Masked text={shown.message} />
        </p>
      )}
      <p className="quiet">{revealed === null ? word.disclosure[error.disclosure] : word.revealed(revealed.ledgerIndex)}</p>
      {error.redactions.length > 0 && (
        <PlainTable
          caption={word.redactions}
          rows={error.redactions}
          keyOf={(redaction) => redaction.rule}
          columns={[
            { name: "rule", title: word.rule, cell: (redaction) => <code>{redaction.rule}</code> },
            { name: "count", title: word.times, figures: true, cell: (redaction) => count(redaction.count) },
          ]}
        />
      )}
      {parameters && parameters.length > 0 && (
        <PlainTable
          caption={word.parameters}
          rows={parameters}
          keyOf={(parameter) => parameter.name}
          columns={[
            { name: "name", title: word.parameter, cell: (parameter) => <code>{parameter.name}</code> },
            { name: "value", wide: true, title: word.value, cell: (parameter) => (parameter.value == null ? "–" : <code className="wrap">{parameter.value}</code>) },
            { name: "action", title: word.kept, cell: (parameter) => word.action[parameter.action] },
          ]}
        />
      )}
      {revealed === null && (error.disclosure === "SEALED" || error.disclosure === "MASKED") && <RevealForm error={error} revealed={setRevealed} />}
      {PAGES.some((page) => page.path === "errors") && (
        <p>
          <Link href={linkWithTime("errors", search, { error: error.fingerprint })}>{word.similar}</Link>
        </p>
      )}
    </section>
  );
}
