import { useMemo } from "react";
import { Link, useSearch } from "wouter";
import { changed, linkTo } from "../../../address/search";
import type { LatencyByModelQuery } from "../../../api/gql/graphql";
import { useAnswer } from "../../../api/useAnswer";
import { useFilter } from "../../../filter/useFilter";
import { useWords } from "../../../language/useWords";
import { height } from "../../../numbers/decimal";
import { count, duration, percent } from "../../../numbers/figures";
import { Amount } from "../../../parts/Amount";
import { PlainTable } from "../../../parts/PlainTable";
import { useSession } from "../../../session/SessionContext";
import { LatencyByModel } from "../documents";
import { WITHOUT } from "./dimension";
import { type Compared, type Group, comparedModels } from "./group";
import { words } from "../words";

type Latency = NonNullable<LatencyByModelQuery["costs"]>["nodes"][number]["latencyMs"];

/** Models by what the same number of tokens costs with each, and by how often they fail and how long they take. */
export function EqualTokens({ models, currency }: { models: readonly Group[]; currency: string }) {
  const word = useWords(words);
  const search = useSearch();
  const compared = comparedModels(models);
  const latency = useLatency(currency, compared.length > 1);
  const most = Math.max(...compared.map((one) => height(one.perMillion)), 0);
  const part = (share: number | null) => (share === null ? "–" : percent(share));
  const long = (model: string, which: "p50" | "p95") => {
    const ms = latency?.get(model)?.[which];
    return ms == null ? "–" : duration(ms);
  };
  if (compared.length < 2) return null;
  return (
    <section className="panel">
      <PlainTable
        caption={word.equal(currency)}
        columns={[
          { name: "model", title: word.model, cell: ({ model }) => <Link href={linkTo("logs", changed(search, { ...WITHOUT, currency, model }))}>{model}</Link> },
          {
            name: "million",
            title: word.perMillion,
            figures: true,
            cell: ({ perMillion }) => (
              <span className="share">
                <span className="share-bar" aria-hidden="true">
                  <span style={{ width: `${most > 0 ? (height(perMillion) / most) * 100 : 0}%` }} />
                </span>
                <span className="share-figure">
                  <Amount amount={perMillion} currency={currency} />
                </span>
              </span>
            ),
          },
          { name: "all", title: word.forAll, figures: true, cell: ({ forAll }) => <Amount amount={forAll} currency={currency} /> },
          { name: "tokens", title: word.tokens, figures: true, cell: ({ tokens }) => count(tokens) },
          { name: "output", title: word.outputShare, figures: true, cell: ({ outputShare }) => part(outputShare) },
          { name: "failed", title: word.failed, figures: true, cell: ({ failed }) => part(failed) },
          ...(latency === null
            ? []
            : (["p50", "p95"] as const).map((which) => ({ name: which, title: word.latency[which], figures: true, cell: ({ model }: Compared) => long(model, which) }))),
        ]}
        rows={compared}
        keyOf={({ model }) => model}
      />
      <p className="quiet panel-note">{word.equalWhy}</p>
    </section>
  );
}

/** How long the calls of each model took; null: the role does not see it. */
function useLatency(currency: string, wanted: boolean): ReadonlyMap<string, Latency> | null {
  const session = useSession();
  const { callFilter: filter } = useFilter();
  const seen = session.view("CostRow.latencyMs") !== "DENIED";
  const { data } = useAnswer(LatencyByModel, { filter }, { wanted: seen && wanted });
  return useMemo(() => {
    if (!seen) return null;
    const rows = data?.costs?.nodes ?? [];
    return new Map(rows.flatMap(({ key, latencyMs }) => (key.currency === currency && key.model != null ? [[key.model, latencyMs] as const] : [])));
  }, [data, seen, currency]);
}
