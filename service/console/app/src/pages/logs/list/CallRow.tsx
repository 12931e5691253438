import { type MouseEvent, memo } from "react";
import { useFieldText } from "../../../calls/useFieldText";
import { useWords } from "../../../language/useWords";
import type { Column, Row } from "./columns";
import { words } from "../words";

interface Props {
  index: number;
  top: number;
  /** Undefined: it is being loaded again. */
  row: Row | undefined;
  columns: readonly Column[];
  active: boolean;
  open: boolean;
  press(index: number, id: string): void;
  choose(name: string, value: string, how: "is" | "not"): void;
}

/** One call. A press on it opens it; a press on a value that is underlined filters by that value, with Alt leaves it out. */
export const CallRow = memo(function CallRow({ index, top, row, columns, active, open, press, choose }: Props) {
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
          {row === undefined ? <span className="waiting-line" /> : <Cell column={column} row={row} choose={choose} />}
        </div>
      ))}
    </div>
  );
});

function Cell({ column, row, choose }: { column: Column; row: Row; choose: Props["choose"] }) {
  const word = useWords(words);
  const text = useFieldText();
  const value = column.filter?.(row);
  const content = column.cell(row);
  if (value == null) return content ?? <span className="calls-none">–</span>;
  const said = `${text.name(column.name)} = ${text.value(column.name, value)}`;
  const filter = (event: MouseEvent) => {
    event.stopPropagation();
    choose(column.name, value, event.altKey ? "not" : "is");
  };
  return (
    <button type="button" tabIndex={-1} className="calls-value" title={word.filterBy(said)} onClick={filter}>
      {content}
    </button>
  );
}
