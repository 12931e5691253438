import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { clock, day, minute } from "../time/zone";
import "./charts.css";
import { resolved, useThemeName } from "./colour";
import { bucketAt, stacked } from "./stack";

export interface Series {
  readonly label: string;
  /** A custom property, such as `--bar`. */
  readonly colour: string;
  /** One for each bucket. */
  readonly values: readonly number[];
  /** A value as its tooltip has it: of amounts, the exact text. */
  text(index: number): string;
}

interface Props {
  label: string;
  /** Starts of the buckets, and the end of the last one; RFC 3339. */
  edges: readonly string[];
  series: readonly Series[];
  /** Drawn as a dashed line over the bars: what they are compared with. */
  line?: Series;
  zone: string;
  height?: number;
  /** A figure of the vertical axis. */
  axisText(value: number): string;
  /** A time was brushed, from edge to edge. */
  brushed?(from: string, to: string): void;
  /** One bar was pressed. */
  pressed?(from: string, to: string): void;
}

/** What lies between the marks of bars that are days or more. */
const DAYS = [1, 2, 3, 7, 14, 28, 91, 182, 364].map((days) => days * 86_400);

/** Stacked bars over time, by uPlot: a canvas, so that a page says the same in a table beside it. Loaded lazily. */
export default function TimeBars({ label, edges, series, line, zone, height = 120, axisText, brushed, pressed }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const theme = useThemeName();
  // What changes with each render and must not draw the chart anew.
  const latest = useRef({ edges, series, line, axisText, brushed, pressed, zone });
  useEffect(() => {
    latest.current = { edges, series, line, axisText, brushed, pressed, zone };
  });
  const text = useMemo(() => JSON.stringify([edges, [...series, ...(line ? [line] : [])].map((one) => [one.label, one.values])]), [edges, series, line]);

  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const { edges: at, series: shown, line: beside, zone: inZone } = latest.current;
    const starts = at.slice(0, -1).map((edge) => Date.parse(edge) / 1000);
    const tops = stacked(shown.map((one) => one.values));
    const rule = resolved("--line");
    const quiet = resolved("--text-quiet");
    const ofDays = (starts[1] ?? 0) - (starts[0] ?? 0) >= 23 * 3_600;
    const long = (starts.at(-1) ?? 0) - (starts[0] ?? 0) > 2 * 86_400;
    const bars = uPlot.paths.bars?.({ size: [0.82, 160], align: 1, gap: 0 });
    const steps = uPlot.paths.stepped?.({ align: 1 });
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height,
        padding: [8, 16, 0, 0],
        legend: { show: false },
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), inZone),
        scales: {
          x: { range: () => [Date.parse(at[0] ?? "") / 1000, Date.parse(at.at(-1) ?? "") / 1000] },
          y: { range: (_, __, max) => [0, max > 0 ? max * 1.06 : 1] },
        },
        axes: [
          {
            stroke: quiet,
            font: "11px system-ui",
            size: 22,
            gap: 3,
            grid: { show: false },
            ticks: { stroke: rule, size: 4, width: 1 },
            ...(ofDays && { incrs: DAYS }),
            values: (_, splits) =>
              splits.map((second) => tick(second * 1000, inZone, long)),
          },
          {
            stroke: quiet,
            font: "11px system-ui",
            size: 44,
            gap: 6,
            space: 36,
            grid: { stroke: rule, width: 1 },
            ticks: { show: false },
            values: (_, splits) => splits.map((value) => latest.current.axisText(value)),
          },
        ],
        // The tallest first, so that those below are drawn over it.
        series: [
          {},
          ...shown.map((one) => ({ label: one.label, fill: resolved(one.colour), width: 0, points: { show: false }, ...(bars && { paths: bars }) })).toReversed(),
          ...(beside ? [{ label: beside.label, stroke: resolved(beside.colour), width: 1.5, dash: [4, 3], points: { show: false }, ...(steps && { paths: steps }) }] : []),
        ],
        cursor: { y: false, points: { show: false }, drag: { x: latest.current.brushed !== undefined, y: false, setScale: false } },
        hooks: {
          setCursor: [(chart) => showTip(chart, tip.current, starts, latest.current)],
          setSelect: [
            (chart) => {
              const { left, width } = chart.select;
              const first = bucketAt(starts, chart.posToVal(left, "x"));
              const last = bucketAt(starts, chart.posToVal(left + width, "x"));
              const from = at[Math.max(first, 0)];
              const to = at[last + 1];
              chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
              if (width > 0 && from !== undefined && to !== undefined) latest.current.brushed?.(from, to);
            },
          ],
        },
      },
      // The end is a point too, so that the line goes on over the last bar.
      [[...starts, Date.parse(at.at(-1) ?? "") / 1000], ...tops.toReversed().map((top) => [...top, null]), ...(beside ? [[...beside.values, beside.values.at(-1) ?? null]] : [])],
      element,
    );
    // After a drag uPlot keeps the click to itself.
    plot.over.addEventListener("click", () => {
      const index = bucketAt(starts, plot.posToVal(plot.cursor.left ?? -1, "x"));
      const from = at[index];
      const to = at[index + 1];
      if (from !== undefined && to !== undefined) latest.current.pressed?.(from, to);
    });
    const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [text, theme, zone, height]);

  return (
    <div className="chart" role="img" aria-label={label}>
      <div ref={place} />
      <div ref={tip} className="chart-tip" aria-hidden="true" hidden />
    </div>
  );
}

/** A day where one begins, else the time of the day. */
function tick(moment: number, zone: string, long: boolean): string {
  const clock = minute(moment, zone);
  return long && clock === "00:00" ? day(moment, zone).slice(5) : clock;
}

type Shown = { readonly [name in "edges" | "series" | "line" | "zone"]: Props[name] };

function showTip(chart: uPlot, tip: HTMLDivElement | null, starts: readonly number[], { edges, series, line, zone }: Shown): void {
  if (tip === null) return;
  const left = chart.cursor.left ?? -1;
  const index = left < 0 ? -1 : bucketAt(starts, chart.posToVal(left, "x"));
  const from = edges[index];
  const to = edges[index + 1];
  tip.hidden = from === undefined || to === undefined;
  if (from === undefined || to === undefined) return;
  const rows = series.filter((one) => one.values[index] !== 0 || series.length <= 2);
  tip.replaceChildren(
    row(spanText(from, to, zone)),
    ...[...rows.toReversed(), ...(line ? [line] : [])].map((one) => row(one.label, one.text(index), one.colour)),
  );
  const x = left + chart.bbox.left / devicePixelRatio;
  tip.style.left = `${Math.min(x + 12, Math.max(0, chart.width - tip.offsetWidth - 8))}px`;
}

/** From when to when: of days and more, the first day alone. */
function spanText(from: string, to: string, zone: string): string {
  const start = clock(from, zone);
  if (Date.parse(to) - Date.parse(from) < 23 * 3_600_000) return `${start} – ${minute(to, zone)}`;
  return start.replace(" 00:00", "");
}

function row(label: string, value?: string, colour?: string): HTMLDivElement {
  const element = document.createElement("div");
  if (colour !== undefined) {
    const mark = document.createElement("i");
    mark.style.background = `var(${colour})`;
    element.append(mark);
  }
  element.append(label);
  if (value !== undefined) {
    const figure = document.createElement("b");
    figure.textContent = value;
    element.append(figure);
  }
  return element;
}
