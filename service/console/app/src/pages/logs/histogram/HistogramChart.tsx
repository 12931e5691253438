import { Suspense, lazy, useMemo } from "react";
import { words as callWords } from "../../../calls/words";
import { useWords } from "../../../language/useWords";
import { compact, count } from "../../../numbers/figures";
import { ProblemNote } from "../../../parts/ProblemNote";
import { Said } from "../../../parts/Said";
import { useRange } from "../../../time/RangeContext";
import { useZone } from "../../../time/zone";
import type { Row } from "../list/columns";
import type { Rows } from "../list/rows";
import { useLoaded } from "../list/useCalls";
import type { Counted } from "./useHistogram";
import { words } from "../words";

const TimeBars = lazy(() => import("../../../charts/TimeBars"));
const HEIGHT = 104;

/** Calls over time, failures in red. To drag over it is to choose that time. */
export function HistogramChart({ counted, rows, again }: { counted: Counted; rows: Rows<Row>; again(): void }) {
  useLoaded(rows);
  const word = useWords(words);
  const call = useWords(callWords);
  const zone = useZone();
  const { change } = useRange();
  const { bars } = counted;
  const series = useMemo(() => {
    if (bars === null) return [];
    const of = (label: string, colour: string, values: readonly number[]) => ({ label, colour, values, text: (index: number) => count(values[index] ?? 0) });
    return [of(call.status.FAILED, "--bar-bad", bars.failed), of(call.status.SUCCEEDED, "--bar", bars.succeeded)];
  }, [bars, call]);
  if (counted.problem?.code === "OUT_OF_RETENTION") {
    if (rows.length === 0) return null; // the list says it
    return (
      <p className="quiet">
        {word.notSummed} <Said text={counted.problem.message} />
      </p>
    );
  }
  if (counted.problem !== null && counted.problem.code === rows.problem?.code) return null; // the list says it
  if (counted.problem !== null) return <ProblemNote problem={counted.problem} again={again} />;
  if (bars === null && !counted.waiting) return null; // the role may not ask for sums
  return (
    <div className="histogram" data-waiting={counted.waiting}>
      {bars !== null && bars.edges.length > 1 && (
        <Suspense>
          <TimeBars
            label={word.histogram}
            edges={bars.edges}
            series={series}
            zone={zone}
            height={HEIGHT}
            axisText={(value) => (Number.isInteger(value) ? compact(value) : "")}
            brushed={(from, to) => change({ kind: "absolute", from: new Date(from).toISOString(), to: new Date(to).toISOString() })}
          />
        </Suspense>
      )}
    </div>
  );
}
