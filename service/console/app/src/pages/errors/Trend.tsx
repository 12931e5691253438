import { useWords } from "../../language/useWords";
import { count } from "../../numbers/figures";
import type { Period } from "../../time/range";
import { words } from "./words";

export interface Bucket {
  readonly start: string;
  readonly end: string;
  readonly count: string;
}

const WIDTH = 120;
const HEIGHT = 24;

/** How many there were over the time, as small bars; in words for who does not see them. */
export function Trend({ buckets, period }: { buckets: readonly Bucket[]; period: Period }) {
  const word = useWords(words);
  const from = Date.parse(period.from);
  const length = Math.max(1, Date.parse(period.to) - from);
  const most = Math.max(1, ...buckets.map((bucket) => Number(bucket.count)));
  const x = (moment: string) => (Math.min(1, Math.max(0, (Date.parse(moment) - from) / length))) * WIDTH;
  return (
    <svg className="trend" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} role="img" aria-label={word.trendOf(count(buckets.length), count(most))}>
      <line x1="0" x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} />
      {buckets.map((bucket) => {
        const height = Math.max(2, (Number(bucket.count) / most) * (HEIGHT - 2));
        const left = x(bucket.start);
        return <rect key={bucket.start} x={left} y={HEIGHT - height} width={Math.max(1.5, x(bucket.end) - left - 0.75)} height={height} />;
      })}
    </svg>
  );
}
