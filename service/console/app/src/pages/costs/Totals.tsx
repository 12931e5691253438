import type { ReactNode } from "react";
import { useWords } from "../../language/useWords";
import { sum } from "../../numbers/decimal";
import { compact, count, percent } from "../../numbers/figures";
import { Amount } from "../../parts/Amount";
import { Changed, TIMES_MOST } from "./Changed";
import { type FigureRow, cacheShare, changeOf } from "./groups/group";
import { words } from "./words";

interface Props {
  now: FigureRow;
  before: FigureRow | null;
  currency: string;
}

/** The figures of the whole time, in one currency. */
export function Totals({ now, before, currency }: Props) {
  const word = useWords(words);
  const amount = (text: string | null | undefined, digits?: number) =>
    text == null ? "–" : <Amount amount={text} currency={currency} {...(digits !== undefined && { digits })} />;
  // Beside next to no calls an average says nothing either.
  const enough = (changeOf(now.calls, before?.calls) ?? 0) <= TIMES_MOST;
  const change = (figure: (row: FigureRow) => string | null | undefined, good: "less" | "more" | "neither") => {
    const value = figure(now);
    return value == null || !enough ? null : <Changed change={changeOf(value, before && figure(before))} good={good} />;
  };
  const cached = cacheShare(now);
  const tokens = (row: FigureRow) => (row.inputTokens === undefined || row.outputTokens === undefined ? null : sum([row.inputTokens, row.outputTokens]));
  const all = tokens(now);
  return (
    <dl className="figures-grid">
      <Figure name={word.cost} change={change((row) => row.amount?.amount, "less")}>
        {amount(now.amount?.amount)}
      </Figure>
      <Figure name={word.calls} change={change((row) => row.calls, "neither")}>
        {count(now.calls)}
      </Figure>
      {all !== null && (
        <Figure name={word.tokens} change={change(tokens, "neither")} title={count(all)}>
          {compact(all)}
        </Figure>
      )}
      {now.averageCost !== undefined && (
        <Figure name={word.average} change={change((row) => row.averageCost, "less")}>
          {amount(now.averageCost)}
        </Figure>
      )}
      {now.costPerThousandOutputTokens !== undefined && (
        <Figure name={word.perThousand} change={change((row) => row.costPerThousandOutputTokens, "less")}>
          {amount(now.costPerThousandOutputTokens)}
        </Figure>
      )}
      {now.tokenEfficiency != null && <Figure name={word.efficiency}>{now.tokenEfficiency.toFixed(3)}</Figure>}
      {cached !== null && <Figure name={word.cached}>{percent(cached)}</Figure>}
      {now.wastedOnFailures !== undefined && (
        <Figure name={word.failures} change={change((row) => row.wastedOnFailures, "less")}>
          {amount(now.wastedOnFailures)}
        </Figure>
      )}
      {now.estimatedShare != null && now.estimatedShare > 0 && <Figure name={word.estimated}>{percent(now.estimatedShare)}</Figure>}
    </dl>
  );
}

interface FigureProps {
  name: string;
  title?: string;
  change?: ReactNode;
  children: ReactNode;
}

function Figure({ name, title, change, children }: FigureProps) {
  return (
    <div className="figure">
      <dt>{name}</dt>
      <dd title={title}>
        {children} {change}
      </dd>
    </div>
  );
}
