import { columnResizingFeature, columnSizingFeature, tableFeatures, useTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type CSSProperties, type KeyboardEvent, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useFieldText } from "../../../calls/useFieldText";
import { useWords } from "../../../language/useWords";
import { Icon } from "../../../parts/Icon";
import { useZone } from "../../../time/zone";
import { CallRow } from "./CallRow";
import type { Column, Row } from "./columns";
import type { Order } from "./order";
import type { Rows } from "./rows";
import { useLoaded } from "./useCalls";
import { words } from "../words";

interface Props {
  rows: Rows<Row>;
  columns: readonly Column[];
  order: Order;
  sort(order: Order): void;
  /** Others are awaited in the place of these. */
  stale: boolean;
  /** The open call. */
  open: string | null;
  show(id: string): void;
  choose(name: string, value: string, how: "is" | "not"): void;
}

const ROW = 32;
const OVERSCAN = 2;
/** TanStack Virtual places all rows anew when there are more of them, 24 ms with each page of a list of 200,000, so it is
 * told of so many at a time. */
const PLACED_AT_ONCE = 20_000;
const features = tableFeatures({ columnSizingFeature, columnResizingFeature });
const NO_DATA: Row[] = [];

/** The virtual table: of any number of rows those are in the page that are seen, and some above and below them. */
export function CallTable({ rows, columns, order, sort, stale, open, show, choose }: Props) {
  useLoaded(rows);
  const word = useWords(words);
  const text = useFieldText();
  const zone = useZone();
  const drawn = useMemo(() => ({ zone, text }), [zone, text]);
  const frame = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(-1);
  // TanStack Table has the columns: their widths, and how they are dragged. Rows are given to it by none.
  const defs = useMemo(() => columns.map((column) => ({ id: column.name, size: column.width, minSize: 60 })), [columns]);
  const table = useTable({ features, columns: defs, data: NO_DATA, columnResizeMode: "onChange" as const });
  const headers = table.getHeaderGroups()[0]?.headers ?? [];
  const widths = headers.map((header) => `${header.getSize()}px`).join(" ");
  const width = headers.reduce((sum, header) => sum + header.getSize(), 0);

  const virtual = useVirtualizer({
    count: Math.ceil(rows.length / PLACED_AT_ONCE) * PLACED_AT_ONCE,
    getScrollElement: () => frame.current,
    estimateSize: () => ROW,
    paddingStart: ROW,
    scrollPaddingStart: ROW,
  });
  // Rows take turns: each of a fixed number of places in the page has every so manieth call, so that scrolling writes
  // texts anew, and makes and removes no element. Their order is said by `aria-owns`.
  const places = Math.min(rows.length, Math.ceil((virtual.scrollRect?.height ?? 0) / ROW) + 1 + 2 * OVERSCAN);
  const first = Math.max(0, Math.min((virtual.calculateRange()?.startIndex ?? 0) - OVERSCAN, rows.length - places));
  const last = Math.max(first, first + places - 1);
  const placed = Array.from({ length: places }, (_, place) => first + ((place - (first % places) + places) % places));
  useEffect(() => rows.need(first, last), [rows, rows.version, first, last]);
  // Another filter begins at the top.
  useEffect(() => {
    frame.current?.scrollTo({ top: 0 });
    setActive(-1);
  }, [rows]);
  // The row of the open call is followed, so that J and K keep it in sight.
  const openIndex = open === null ? -1 : rows.indexOf((row) => row.id === open);
  useEffect(() => {
    if (openIndex < 0) return;
    setActive(openIndex);
    virtual.scrollToIndex(openIndex, { align: "auto" });
  }, [openIndex, virtual]);

  const pressed = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor((frame.current?.clientHeight ?? ROW) / ROW) - 2);
    const steps: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -rows.length, End: rows.length };
    const step = steps[event.key];
    const row = rows.row(active);
    if (step !== undefined) {
      const next = Math.min(rows.length - 1, Math.max(0, active + step));
      setActive(next);
      virtual.scrollToIndex(next, { align: "auto" });
    } else if (event.key === "Enter" && event.target === frame.current && row !== undefined) show(row.id);
    else return;
    event.preventDefault();
  };
  const press = useCallback(
    (index: number, id: string) => {
      setActive(index);
      show(id);
    },
    [show],
  );

  return (
    <div
      className="calls"
      ref={frame}
      role="grid"
      aria-label={word.calls}
      aria-rowcount={rows.more ? -1 : rows.length + 1}
      aria-colcount={columns.length}
      aria-activedescendant={active >= 0 ? `call-row-${active}` : undefined}
      aria-busy={rows.waiting || stale}
      data-stale={stale}
      tabIndex={0}
      onKeyDown={pressed}
      style={{ "--columns": widths, "--calls-width": `${width}px` } as CSSProperties}
    >
      <div className="calls-size" style={{ height: (rows.length + 1) * ROW }} role="rowgroup" aria-owns={placed.map((_, place) => `call-row-${first + place}`).join(" ")}>
        <div className="calls-head" role="row" aria-rowindex={1}>
          {headers.map((header, number) => {
            const column = columns[number];
            if (column === undefined) return null;
            const sorted = order.name === column.name ? order.direction : null;
            return (
              <div
                key={header.id}
                role="columnheader"
                className={column.figures ? "calls-title figures" : "calls-title"}
                aria-sort={sorted === null ? undefined : sorted === "ASC" ? "ascending" : "descending"}
                title={text.name(column.name)}
              >
                {column.order === undefined ? (
                  <span className="calls-name">{text.name(column.name)}</span>
                ) : (
                  <button
                    type="button"
                    className="calls-sort"
                    onClick={() => sort({ name: column.name, direction: sorted === "DESC" ? "ASC" : "DESC" })}
                  >
                    <span className="calls-name">{text.name(column.name)}</span>
                    {sorted !== null && <Icon name={sorted === "ASC" ? "up" : "down"} />}
                  </button>
                )}
                <span className="calls-resize" onPointerDown={header.getResizeHandler()} aria-hidden="true" />
              </div>
            );
          })}
        </div>
        {placed.map((index, place) => {
          const row = rows.row(index);
          return (
            <CallRow
              key={place}
              index={index}
              top={ROW + index * ROW}
              row={row}
              columns={columns}
              drawn={drawn}
              filterBy={word.filterBy}
              active={index === active}
              open={row !== undefined && row.id === open}
              press={press}
              choose={choose}
            />
          );
        })}
      </div>
    </div>
  );
}
