import { Suspense, lazy, useMemo } from "react";
import { useLocation, useSearch } from "wouter";
import { changed, linkTo } from "../../../address/search";
import { useFieldText } from "../../../calls/useFieldText";
import { seriesColour } from "../../../charts/colour";
import { useWords } from "../../../language/useWords";
import { exact, height, readable } from "../../../numbers/decimal";
import { compact } from "../../../numbers/figures";
import { Button } from "../../../parts/controls/Button";
import { Waiting } from "../../../parts/Waiting";
import { useStored } from "../../../preferences/preferences";
import { useRange } from "../../../time/RangeContext";
import { useZone } from "../../../time/zone";
import { DAY, WITHOUT, timeOf } from "../groups/dimension";
import { TimelineTable } from "./TimelineTable";
import type { Line } from "./timeline";
import type { Costs } from "../useCosts";
import { words } from "../words";

const TimeBars = lazy(() => import("../../../charts/TimeBars"));
const HEIGHT = 240;
const OTHERS = "--series-7";
const HIDDEN = "hidden";

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
  const { period } = useRange();
  const [stored, store] = useStored("costs.table");
  const { timeline, dimension } = costs;
  const days = dimension === DAY;
  // Of days the table that follows has a row for each bar.
  const doubled = days && costs.bucket === "DAY";
  const tabled = stored !== HIDDEN && !doubled;
  const named = useMemo(
    () => (line: Line) => (line.value !== null ? text.value(dimension, line.value) : days ? word.cost : word.others),
    [word, text, dimension, days],
  );
  const series = useMemo(
    () =>
      (timeline?.lines ?? []).map((line, index) => ({
        label: named(line),
        colour: line.value === null && !days ? OTHERS : seriesColour(index),
        values: line.amounts.map(height),
        text: (at: number) => `${exact(line.amounts[at] ?? "0")} ${currency}`,
      })),
    [timeline, named, currency, days],
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
    go(linkTo("logs", changed(search, { ...WITHOUT, currency, ...timeOf(from, to, period) })));
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
        {!doubled && (
          <Button aria-expanded={tabled} onClick={() => store(tabled ? HIDDEN : null)}>
            {tabled ? word.hideTable : word.showTable}
          </Button>
        )}
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
      {!doubled && <TimelineTable timeline={timeline} was={costs.totalBefore?.amount?.amount ?? "0"} named={named} currency={currency} caption={title} shown={tabled} />}
    </section>
  );
}
