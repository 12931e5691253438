import type { CSSProperties, ReactNode } from "react";
import { Link, useSearch } from "wouter";
import { useAddress } from "../../../address/address";
import { type Change, changed, linkTo } from "../../../address/search";
import { useFieldText } from "../../../calls/useFieldText";
import { useWords } from "../../../language/useWords";
import { Amount } from "../../../parts/Amount";
import { NoAnswer } from "../../../parts/NoAnswer";
import { Waiting } from "../../../parts/Waiting";
import { DAY, WITHOUT, linkable } from "../groups/dimension";
import type { Costs } from "../useCosts";
import { words } from "../words";
import { type Crossed, shade } from "./crossed";
import { useCrossed } from "./useCrossed";

/** Costs by two dimensions: a table whose cells are the darker the more of the money is in them. */
export function CrossedCosts({ costs, currency }: { costs: Costs; currency: string }) {
  const word = useWords(words);
  const text = useFieldText();
  const [, change] = useAddress();
  const { across, crossed, problem, waiting, again } = useCrossed(costs, currency);
  const { dimension, dimensions } = costs;
  if (across === dimension) return null;
  const title = word.crossed(text.name(dimension), text.name(across), currency);
  return (
    <section className="panel" aria-busy={waiting}>
      <header className="panel-head">
        <h2>{title}</h2>
        <label className="costs-by costs-across">
          <span>{word.across}</span>
          <select value={across} onChange={(event) => change({ across: event.target.value })}>
            {dimensions
              .filter((name) => name !== dimension && name !== DAY)
              .map((name) => (
                <option key={name} value={name}>
                  {text.name(name)}
                </option>
              ))}
          </select>
        </label>
      </header>
      {problem && <NoAnswer problem={problem} again={again} />}
      {!problem && crossed === null && (waiting ? <Waiting lines={6} /> : <p className="quiet">{word.notCrossed(text.name(across))}</p>)}
      {!problem && crossed !== null && <CrossedTable crossed={crossed} caption={title} />}
    </section>
  );
}

function CrossedTable({ crossed, caption }: { crossed: Crossed; caption: string }) {
  const word = useWords(words);
  const text = useFieldText();
  const search = useSearch();
  const { row, column, currency, rows, columns, cells, rowTotals, columnTotals, total, most } = crossed;
  const named = (dimension: string, value: string | null) => (value === null ? word.others : text.value(dimension, value));
  /** To the calls of these values; what is of all others has no filter that names it. */
  const calls = (values: Readonly<Record<string, string | null>>, shown: ReactNode) =>
    Object.entries(values).every(([name, value]) => value !== null && linkable(name, value)) ? (
      <Link href={linkTo("logs", changed(search, { ...WITHOUT, currency, ...(values as Change) }))}>{shown}</Link>
    ) : (
      shown
    );
  const amount = (of: string) => <Amount amount={of} currency={currency} />;
  return (
    <>
      <div className="plain-table-frame" tabIndex={0} role="region" aria-label={caption}>
        <table className="plain-table crossed">
          <caption className="unseen">{caption}</caption>
          <thead>
            <tr>
              <th scope="col">{text.name(row)}</th>
              {columns.map((value) => (
                <th key={value ?? ""} scope="col" className="figures">
                  {calls({ [column]: value }, named(column, value))}
                </th>
              ))}
              <th scope="col" className="figures">
                {word.total}
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((value, at) => (
              <tr key={value ?? ""}>
                <th scope="row">
                  {calls({ [row]: value }, named(row, value))}
                </th>
                {columns.map((other, place) => {
                  const of = cells[at]?.[place] ?? "0";
                  const dark = value === null || other === null ? 0 : shade(of, most);
                  return (
                    <td key={other ?? ""} className="figures crossed-cell" style={{ "--shade": `${Math.round(dark * 100)}%` } as CSSProperties}>
                      {Number(of) === 0 ? <span className="quiet">–</span> : calls({ [row]: value, [column]: other }, amount(of))}
                    </td>
                  );
                })}
                <td className="figures">{amount(rowTotals[at] ?? "0")}</td>
              </tr>
            ))}
          </tbody>
          <tfoot>
            <tr>
              <th scope="row">{word.total}</th>
              {columnTotals.map((of, place) => (
                <td key={columns[place] ?? ""} className="figures">
                  {amount(of)}
                </td>
              ))}
              <td className="figures">
                <strong>{amount(total)}</strong>
              </td>
            </tr>
          </tfoot>
        </table>
      </div>
      <p className="quiet panel-note">{word.shades}</p>
    </>
  );
}
