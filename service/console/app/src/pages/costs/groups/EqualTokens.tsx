import { useWords } from "../../../language/useWords";
import { height } from "../../../numbers/decimal";
import { count, percent } from "../../../numbers/figures";
import { Amount } from "../../../parts/Amount";
import { PlainTable } from "../../../parts/PlainTable";
import { type Group, comparedModels } from "./group";
import { words } from "../words";

/** Models by what the same number of tokens costs with each. */
export function EqualTokens({ models, currency }: { models: readonly Group[]; currency: string }) {
  const word = useWords(words);
  const compared = comparedModels(models);
  const most = Math.max(...compared.map((one) => height(one.perMillion)), 0);
  if (compared.length < 2) return null;
  return (
    <section className="panel">
      <PlainTable
        caption={word.equal(currency)}
        columns={[
          { name: "model", title: word.model, cell: ({ model }) => model },
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
          { name: "output", title: word.outputShare, figures: true, cell: ({ outputShare }) => (outputShare === null ? "–" : percent(outputShare)) },
        ]}
        rows={compared}
        keyOf={({ model }) => model}
      />
      <p className="quiet panel-note">{word.equalWhy}</p>
    </section>
  );
}
