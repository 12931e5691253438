import type { ReactNode } from "react";

export interface PlainColumn<Row> {
  readonly name: string;
  readonly title: ReactNode;
  /** Figures stand at the right, in digits of one width. */
  readonly figures?: boolean;
  /** Its cells break their lines themselves, and are not cut. */
  readonly wide?: boolean;
  /** In the row under all others, such as a sum; a table whose columns have none has no such row. */
  readonly foot?: ReactNode;
  cell(row: Row): ReactNode;
}

interface Props<Row> {
  caption: string;
  columns: readonly PlainColumn<Row>[];
  rows: readonly Row[];
  keyOf(row: Row): string;
  /** Says the caption to screen readers alone. */
  quietCaption?: boolean;
}

/** A table of some rows, all of them in the page. Thousands of rows are for a virtual one. */
export function PlainTable<Row>({ caption, columns, rows, keyOf, quietCaption = false }: Props<Row>) {
  const footed = columns.some(({ foot }) => foot !== undefined);
  return (
    <div className="plain-table-frame" tabIndex={0} role="region" aria-label={caption}>
      <table className="plain-table">
        <caption className={quietCaption ? "unseen" : undefined}>{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.name} scope="col" className={column.figures ? "figures" : undefined}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map((column) => (
                <td key={column.name} className={column.figures ? "figures" : column.wide ? "plain-wide" : undefined}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
        {footed && (
          <tfoot>
            <tr>
              {columns.map(({ name, figures, foot }, number) =>
                number === 0 ? (
                  <th key={name} scope="row">
                    {foot}
                  </th>
                ) : (
                  <td key={name} className={figures ? "figures" : undefined}>
                    {foot}
                  </td>
                ),
              )}
            </tr>
          </tfoot>
        )}
      </table>
    </div>
  );
}
