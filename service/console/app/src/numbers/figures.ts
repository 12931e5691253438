/** Counts, shares and durations as people read them; digits are grouped the same way in both languages. */

const GROUPED = new Intl.NumberFormat("en-US");
const COMPACT = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

/** 12,345: an `Int`, `Count` or `BigInt` of the service. */
export function count(value: number | string): string {
  return GROUPED.format(typeof value === "string" ? BigInt(value) : value);
}

/** 12.3K, where there is little room. */
export function compact(value: number | string): string {
  return COMPACT.format(Number(value));
}

/** 12.3%, of a share from 0 to 1; what is there is never read as nothing. */
export function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 0.1) return "<0.1%";
  return `${value.toFixed(value > 0 && value < 10 ? 1 : 0)}%`;
}

/** 820 ms, 1.24 s, 2 min 5 s, 3 h 20 min, 2 d 4 h: a duration in milliseconds. */
export function duration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(ms < 9_995 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3_600) return parts(seconds, 60, "min", "s");
  const minutes = Math.round(seconds / 60);
  return minutes < 24 * 60 ? parts(minutes, 60, "h", "min") : parts(Math.round(minutes / 60), 24, "d", "h");
}

function parts(of: number, size: number, large: string, small: string): string {
  return `${Math.floor(of / size)} ${large} ${of % size} ${small}`;
}

/** 9999 B, 12.3 kB, 4.5 MB, 6.7 GB */
export function size(bytes: string): string {
  const value = Number(bytes);
  if (value < 10_000) return `${value} B`;
  if (value < 999_950) return `${(value / 1000).toFixed(1)} kB`;
  return value < 999_950_000 ? `${(value / 1_000_000).toFixed(1)} MB` : `${(value / 1_000_000_000).toFixed(1)} GB`;
}
