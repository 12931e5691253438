/** A report to take away: as CSV for spreadsheets, or as JSON with all that is known of the comparison. */

import type { OneReconciliationQuery } from "../../api/gql/graphql";

export type Report = Extract<NonNullable<OneReconciliationQuery["node"]>, { differences: unknown }>;
export type Difference = Report["differences"]["nodes"][number];
/** The comparison that was asked for; null: there is none, or not for this role. */
export function reportOf(data: OneReconciliationQuery | undefined): Report | null {
  const node = data?.node;
  return node != null && "differences" in node ? (node as Report) : null;
}

export type Format = "csv" | "json";

const COLUMNS = ["kind", "day", "model", "currency", "calls", "theirs", "ours", "difference", "callIds"] as const;
/** Begins a formula in a spreadsheet, which the name of a model must not. */
const FORMULA = /^[=+\-@\t\r]/;

/** Its lines by RFC 4180, under names of the schema; decimals with all digits. */
export function csvOf(differences: readonly Difference[]): string {
  const lines = differences.map((one) => COLUMNS.map((name) => cell(name, one[name])).join(","));
  return [COLUMNS.join(","), ...lines, ""].join("\r\n");
}

function cell(name: string, value: Difference[keyof Difference]): string {
  const text = Array.isArray(value) ? value.join(" ") : String(value ?? "");
  const safe = (name === "model" || name === "currency") && FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** As the service has answered it, with every difference in the place of a page of them. */
export function jsonOf({ differences: _page, ...report }: Report, differences: readonly Difference[]): string {
  return `${JSON.stringify({ ...report, differences }, null, 1)}\n`;
}

/** What the file is called: the comparison's own name, as far as every file system has it. */
export function fileName({ name, firstDay, lastDay }: Report, format: Format): string {
  const plain = name.replaceAll(/[^\p{L}\p{N}._-]+/gu, "-").replaceAll(/^[-.]+|[-.]+$/g, "").slice(0, 60);
  return `reconciliation-${plain || "report"}-${firstDay}-${lastDay}.${format}`;
}
