import type { CallOrderField, CallPageQuery } from "../../../api/gql/graphql";
import { statusLook } from "../../../calls/StatusBadge";
import type { FieldText } from "../../../calls/useFieldText";
import { exact, height, readable } from "../../../numbers/decimal";
import { count, duration } from "../../../numbers/figures";
import { millisecond } from "../../../time/zone";

export type Row = NonNullable<CallPageQuery["calls"]>["nodes"][number];

/** What all cells are drawn with: looked up once for the table, and not in each cell. */
export interface Drawn {
  readonly zone: string;
  readonly text: FieldText;
}

export interface Column {
  /** The field of `Call`. */
  readonly name: string;
  /** What the role has to see of the schema for it. */
  readonly governs: string;
  readonly width: number;
  readonly figures?: boolean;
  /** The whole list can be ordered by it. */
  readonly order?: CallOrderField;
  /** The parameter of the address that a press on the cell filters by, with the cell's value. */
  readonly filter?: (row: Row) => string | null | undefined;
  /** A cell is one text: hundreds of them are written anew in each frame of scrolling. Null: there is none. */
  readonly cell: (row: Row, drawn: Drawn) => string | null | undefined;
  /** Behind the text, and quieter: its currency. */
  readonly unit?: (row: Row) => string | null | undefined;
  /** The whole of what the text shortens. */
  readonly title?: (row: Row) => string | null | undefined;
  /** Classes of the cell. */
  readonly look?: (row: Row) => string;
  /** It is in the page's document whether it is shown or not. */
  readonly always?: boolean;
}

const whole = (value: number | string | null | undefined) => (value == null ? null : count(value));
const ms = (value: number | null | undefined) => (value == null ? null : duration(value));
const yes = (value: boolean | null | undefined) => (value == null ? null : value ? "✓" : "–");
const code = () => "mono";

/** The year is that of the time above the list. */
const withoutYear = (moment: string, zone: string) => millisecond(moment, zone).slice(5);

/** A field whose cells are texts, and filter by a press. */
function named(name: "model" | "provider" | "account" | "apiKey" | "servedModel" | "operation" | "errorType" | "errorCode" | "team" | "deployment", width: number): Column {
  return { name, governs: `Call.${name}`, width, filter: (row) => row[name], cell: (row) => row[name] };
}

function tokens(name: "inputTokens" | "outputTokens" | "cacheReadTokens" | "cacheWriteTokens" | "reasoningTokens" | "totalTokens", order?: CallOrderField): Column {
  return { name, governs: `Call.${name}`, width: 92, figures: true, cell: (row) => whole(row[name]), ...(order && { order }) };
}

/** All columns, in the order in which they stand until somebody moves one. */
export const COLUMNS: readonly Column[] = [
  { name: "startedAt", governs: "Call.startedAt", width: 150, always: true, order: "STARTED_AT", cell: (row, { zone }) => withoutYear(row.startedAt, zone), title: (row) => row.startedAt },
  { name: "status", governs: "Call.status", width: 104, always: true, filter: (row) => row.status, cell: (row, { text }) => text.value("status", row.status), look: (row) => statusLook(row.status) },
  { ...named("model", 176), always: true },
  named("account", 82),
  tokens("inputTokens"),
  tokens("outputTokens"),
  {
    name: "amount",
    governs: "Call.amount",
    width: 122,
    figures: true,
    order: "AMOUNT",
    // Of thousands nobody looks for millionths, and the currency has to be seen.
    cell: (row) => row.amount && readable(row.amount.amount, Math.abs(height(row.amount.amount)) < 1000 ? 6 : 2),
    unit: (row) => row.amount?.currency,
    title: (row) => row.amount && `${exact(row.amount.amount)} ${row.amount.currency}`,
  },
  { name: "latencyMs", governs: "Call.latencyMs", width: 74, figures: true, order: "LATENCY", cell: (row) => ms(row.latencyMs) },
  named("errorType", 190),
  named("apiKey", 98),
  { name: "timeToFirstTokenMs", governs: "Call.timeToFirstTokenMs", width: 88, figures: true, order: "TIME_TO_FIRST_TOKEN", cell: (row) => ms(row.timeToFirstTokenMs) },
  named("provider", 92),
  named("errorCode", 100),
  named("servedModel", 210),
  named("operation", 110),
  { name: "streamed", governs: "Call.streamed", width: 90, filter: (row) => row.streamed?.toString(), cell: (row) => yes(row.streamed) },
  { name: "cacheHit", governs: "Call.cacheHit", width: 150, filter: (row) => row.cacheHit?.toString(), cell: (row) => yes(row.cacheHit) },
  tokens("cacheReadTokens", "CACHE_READ_TOKENS"),
  tokens("cacheWriteTokens", "CACHE_WRITE_TOKENS"),
  tokens("reasoningTokens"),
  tokens("totalTokens", "TOTAL_TOKENS"),
  { name: "tokenEfficiency", governs: "Call.tokenEfficiency", width: 120, figures: true, order: "TOKEN_EFFICIENCY", cell: (row) => row.tokenEfficiency?.toFixed(2) },
  { name: "tags", governs: "Call.tags", width: 220, cell: (row) => row.tags?.map(({ key, value }) => `${key}=${value ?? "…"}`).join(" ") },
  { name: "user", governs: "Call.user", width: 150, filter: (row) => row.user, cell: (row) => row.user, look: code },
  { name: "attempt", governs: "Call.attempt", width: 84, figures: true, cell: (row) => whole(row.attempt) },
  { name: "traceId", governs: "Call.traceId", width: 170, filter: (row) => row.traceId, cell: (row) => row.traceId, look: code },
  { name: "sessionId", governs: "Call.sessionId", width: 170, filter: (row) => row.sessionId, cell: (row) => row.sessionId, look: code },
  named("deployment", 130),
  named("team", 120),
  { name: "id", governs: "Call.id", width: 330, always: true, cell: (row) => row.id, look: code },
  { name: "sourceId", governs: "Call.sourceId", width: 170, cell: (row) => row.sourceId, look: code },
  { name: "providerRequestId", governs: "Call.providerRequestId", width: 190, cell: (row) => row.providerRequestId, look: code },
  { name: "recordedAt", governs: "Call.recordedAt", width: 190, cell: (row, { zone }) => row.recordedAt && millisecond(row.recordedAt, zone), title: (row) => row.recordedAt },
];

export const SHOWN_AT_FIRST: readonly string[] = [
  "startedAt",
  "status",
  "model",
  "account",
  "inputTokens",
  "outputTokens",
  "amount",
  "latencyMs",
  "errorType",
  "apiKey",
  "timeToFirstTokenMs",
  "provider",
];

/** The columns that an address or a store names, of those that there are; what it does not know is left out. */
export function columnsOf(named: string | null, seen: readonly Column[]): readonly Column[] {
  const names = named?.split(",") ?? SHOWN_AT_FIRST;
  const found = [...new Set(names)].flatMap((name) => seen.find((column) => column.name === name) ?? []);
  return found.length > 0 ? found : seen.filter((column) => SHOWN_AT_FIRST.includes(column.name));
}

/** What the document asks for: each column's field, or not. */
export function fieldFlags(shown: readonly Column[]): Record<string, boolean> {
  return Object.fromEntries(
    COLUMNS.filter((column) => !column.always).map((column) => [column.name, shown.includes(column)]),
  );
}
