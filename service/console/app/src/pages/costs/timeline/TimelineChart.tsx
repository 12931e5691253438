import { Suspense, lazy, useMemo, useState } from "react";
import { useLocation, useSearch } from "wouter";
import { changed, linkTo } from "../../../address/search";
import { useFieldText } from "../../../calls/useFieldText";
import { seriesColour } from "../../../charts/colour";
import { useWords } from "../../../language/useWords";
import { exact, height, readable } from "../../../numbers/decimal";
import { compact } from "../../../numbers/figures";
import { Button } from "../../../parts/controls/Button";
import { Waiting } from "../../../parts/Waiting";
import { useZone } from "../../../time/zone";
import { WITHOUT } from "../groups/dimension";
import { TimelineTable } from "./TimelineTable";
import type { Line } from "./timeline";
import type { Costs } from "../useCosts";
import { words } from "../words";

const TimeBars = lazy(() => import("../../../charts/TimeBars"));
const HEIGHT = 240;
const OTHERS = "--series-7";

/** An amount as far as it fits beside the chart: 0.25, 1,200, 1.2M, 2e-9. */
function axisText(value: number): string {
  if (value === 0) return "0";
  if (value >= 10_000) return compact(value);
  return value < 0.0001 ? value.toExponential() : readable(String(value), 0).replace(/\.$/, "");
}

/** Money over time, stacked, with the period before as a line; a press on a bar opens its calls. The same is in a table. */
export function TimelineChart({ costs, currency }: { costs: Costs; currency: string }) {
  const word = useWords(words);
  const text = useFieldText();
  const zone = useZone();
  const search = useSearch();
  const [, go] = useLocation();
  const [tabled, setTabled] = useState(false);
  const { timeline, dimension } = costs;
  const named = useMemo(
    () => (line: Line) => (line.value === null ? word.others : text.value(dimension, line.value)),
    [word, text, dimension],
  );
  const series = useMemo(
    () =>
      (timeline?.lines ?? []).map((line, index) => ({
        label: named(line),
        colour: line.value === null ? OTHERS : seriesColour(index),
        values: line.amounts.map(height),
        text: (at: number) => `${exact(line.amounts[at] ?? "0")} ${currency}`,
      })),
    [timeline, named, currency],
  );
  const before = timeline?.before;
  const line = useMemo(
    () =>
      before
        ? { label: word.before, colour: "--text-quiet", values: before.map(height), text: (at: number) => `${exact(before[at] ?? "0")} ${currency}` }
        : undefined,
    [before, word, currency],
  );
  const title = word.overTime(currency);
  const open = (from: string, to: string) =>
    go(linkTo("logs", changed(search, { ...WITHOUT, currency, range: null, from: new Date(from).toISOString(), to: new Date(to).toISOString() })));
  if (timeline === null) return <Waiting lines={6} />;
  return (
    <section className="panel">
      <header className="panel-head">
        <h2>{title}</h2>
        <ul className="legend">
          {series.map((one) => (
            <li key={one.label}>
              <i style={{ background: `var(${one.colour})` }} />
              <span title={one.label}>{one.label}</span>
            </li>
          ))}
          {line && (
            <li>
              <i className="legend-line" />
              {line.label}
            </li>
          )}
        </ul>
        <Button aria-expanded={tabled} onClick={() => setTabled(!tabled)}>
          {tabled ? word.hideTable : word.showTable}
        </Button>
      </header>
      <Suspense fallback={<div style={{ height: HEIGHT }} />}>
        <TimeBars
          label={word.chart(title)}
          edges={timeline.edges}
          series={series}
          {...(line && { line })}
          zone={zone}
          height={HEIGHT}
          axisText={axisText}
          pressed={open}
        />
      </Suspense>
      <TimelineTable timeline={timeline} named={named} currency={currency} caption={title} shown={tabled} />
    </section>
  );
}
