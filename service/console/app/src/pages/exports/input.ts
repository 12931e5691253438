/** What is asked for: the filter of the page in a format, once or each day or month. */

import type { CallFilter, CreateExportInput, ErrorFilter, ExportFormat, ExportKind } from "../../api/gql/graphql";

export const KINDS = ["CALLS", "COSTS", "ERRORS", "FOCUS"] as const satisfies readonly ExportKind[];
export const FORMATS = ["CSV", "NDJSON", "PARQUET"] as const satisfies readonly ExportFormat[];
export type Rhythm = "ONCE" | "DAY" | "MONTH";

/** The input of an export; a schedule sets the time itself, so that it takes the filter without one. */
export function inputOf(
  { kind, format, zip }: { kind: ExportKind; format: ExportFormat; zip: boolean },
  { calls, errors, zone }: { calls: CallFilter; errors: ErrorFilter; zone: string },
  timed: boolean,
): CreateExportInput {
  const { startedAt, ...callsAtAnyTime } = calls;
  const { occurredAt, ...errorsAtAnyTime } = errors;
  return {
    kind,
    format,
    ...(zip && format !== "PARQUET" && { compression: "GZIP" as const }),
    ...(kind === "ERRORS"
      ? { errorFilter: timed ? { ...errorsAtAnyTime, ...(occurredAt && { occurredAt }) } : errorsAtAnyTime }
      : { filter: timed ? { ...callsAtAnyTime, ...(startedAt && { startedAt }) } : callsAtAnyTime }),
    ...(kind === "COSTS" && { bucket: "DAY" as const, timeZone: zone }),
  };
}

/** How far it is, from 0 to 1; null: not known. */
export function progress(rows: string | null | undefined, total: string | null | undefined): number | null {
  if (rows == null || total == null || total === "0") return null;
  return Math.min(1, Number(rows) / Number(total));
}
