import { type MouseEvent, memo } from "react";
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

/** A finger has no pointer that shows first what it would press: it opens the call, where each value can be filtered by. */
const TOUCH = matchMedia("(hover: none)");
const WAITED = <span className="waiting-line" />;

/** One call. A press on it opens it; a press on a value that is underlined filters by that value, with Alt leaves it out. */
export const CallRow = memo(function CallRow({ index, top, row, columns, drawn, filterBy, active, open, press, choose }: Props) {
  const classes = ["calls-row", active ? "calls-active" : "", open ? "calls-open" : ""];
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
      {columns.map((column) => (row === undefined ? <div key={column.name} role="gridcell" className="calls-cell">{WAITED}</div> : cellOf(column, row, drawn, filterBy, choose)))}
    </div>
  );
});

/** As few elements as there can be, and no `button`: its insides cost a browser more than the rest of the row. */
function cellOf(column: Column, row: Row, drawn: Drawn, filterBy: Props["filterBy"], choose: Props["choose"]) {
  const value = column.filter?.(row);
  const content = column.cell(row, drawn);
  const unit = column.unit?.(row);
  const { text } = drawn;
  const filter = (event: MouseEvent) => {
    if (value == null || TOUCH.matches) return;
    event.stopPropagation();
    choose(column.name, value, event.altKey ? "not" : "is");
  };
  return (
    <div key={column.name} role="gridcell" className={lookOf(column, row, content == null)} title={column.title?.(row) ?? undefined}>
      {value == null ? (
        (content ?? "–")
      ) : (
        <span role="button" tabIndex={-1} className="calls-value" title={filterBy(`${text.name(column.name)} = ${text.value(column.name, value)}`)} onClick={filter}>
          {content}
        </span>
      )}
      {unit != null && <span className="amount-currency"> {unit}</span>}
    </div>
  );
}

function lookOf(column: Column, row: Row, none: boolean): string {
  const figures = column.figures ? "calls-cell figures" : "calls-cell";
  if (none) return `${figures} calls-none`;
  return column.look === undefined ? figures : `${figures} ${column.look(row)}`;
}
