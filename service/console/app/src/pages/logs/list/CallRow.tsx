import { type MouseEvent, type ReactNode, memo } from "react";
import type { Column, Drawn, Row } from "./columns";

interface Props {
  index: number;
  top: number;
  /** Undefined: it is being loaded again. */
  row: Row | undefined;
  columns: readonly Column[];
  drawn: Drawn;
  /** What a value that can be pressed says of that. */
  filterBy(said: string): string;
  active: boolean;
  open: boolean;
  press(index: number, id: string): void;
  choose(name: string, value: string, how: "is" | "not"): void;
}

/** One call. A press on it opens it; a press on a value that is underlined filters by that value, with Alt leaves it out. */
export const CallRow = memo(function CallRow({ index, top, row, columns, drawn, filterBy, active, open, press, choose }: Props) {
  const classes = ["calls-row", active ? "calls-active" : "", open ? "calls-open" : "", row?.status === "FAILED" ? "calls-failed" : ""];
  return (
    <div
      id={`call-row-${index}`}
      className={classes.filter(Boolean).join(" ")}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={open}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => row && press(index, row.id)}
    >
      {columns.map((column) => (
        <div key={column.name} role="gridcell" className={column.figures ? "calls-cell figures" : "calls-cell"}>
          {row === undefined ? <span className="waiting-line" /> : cellOf(column, row, drawn, filterBy, choose)}
        </div>
      ))}
    </div>
  );
});

function cellOf(column: Column, row: Row, drawn: Drawn, filterBy: Props["filterBy"], choose: Props["choose"]): ReactNode {
  const value = column.filter?.(row);
  const content = column.cell(row, drawn);
  if (value == null) return content ?? <span className="calls-none">–</span>;
  const { text } = drawn;
  const filter = (event: MouseEvent) => {
    event.stopPropagation();
    choose(column.name, value, event.altKey ? "not" : "is");
  };
  return (
    <button
      type="button"
      tabIndex={-1}
      className="calls-value"
      title={filterBy(`${text.name(column.name)} = ${text.value(column.name, value)}`)}
      onClick={filter}
    >
      {content}
    </button>
  );
}
