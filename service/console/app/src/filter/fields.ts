/** What calls can be filtered by, in the words of the schema. The same words are the parameters of the address. */

/** Facets of the service that have values of one field. */
export type FacetName =
  | "models"
  | "providers"
  | "accounts"
  | "apiKeys"
  | "errorTypes"
  | "errorCodes"
  | "operations"
  | "servedModels"
  | "statuses"
  | "currencies";

export interface ChoiceField {
  readonly name: string;
  /** `Type.field` of `viewer { fields }`. */
  readonly governs: string;
  readonly kind: "text" | "enum" | "id" | "boolean" | "user";
  /** Its facet; one that reads single calls is asked for when somebody looks. */
  readonly facet?: FacetName;
  readonly single?: boolean;
}

export const CHOICE_FIELDS = [
  { name: "status", governs: "Call.status", kind: "enum", facet: "statuses" },
  { name: "model", governs: "Call.model", kind: "text", facet: "models" },
  { name: "provider", governs: "Call.provider", kind: "text", facet: "providers" },
  { name: "account", governs: "Call.account", kind: "text", facet: "accounts" },
  { name: "apiKey", governs: "Call.apiKey", kind: "text", facet: "apiKeys" },
  { name: "errorType", governs: "Call.errorType", kind: "text", facet: "errorTypes", single: true },
  { name: "errorCode", governs: "Call.errorCode", kind: "text", facet: "errorCodes", single: true },
  { name: "operation", governs: "Call.operation", kind: "text", facet: "operations", single: true },
  { name: "servedModel", governs: "Call.servedModel", kind: "text", facet: "servedModels", single: true },
  { name: "currency", governs: "Amount.currency", kind: "text", facet: "currencies" },
  { name: "team", governs: "Call.team", kind: "text" },
  { name: "user", governs: "Call.user", kind: "user" },
  { name: "traceId", governs: "Call.traceId", kind: "text" },
  { name: "parentSpanId", governs: "Call.parentSpanId", kind: "text" },
  { name: "sessionId", governs: "Call.sessionId", kind: "text" },
  { name: "deployment", governs: "Call.deployment", kind: "text" },
  { name: "id", governs: "Call.id", kind: "id" },
  { name: "sourceId", governs: "Call.sourceId", kind: "text" },
  { name: "providerRequestId", governs: "Call.providerRequestId", kind: "text" },
  { name: "streamed", governs: "Call.streamed", kind: "boolean" },
  { name: "cacheHit", governs: "Call.cacheHit", kind: "boolean" },
  { name: "isCorrection", governs: "Call.corrects", kind: "boolean" },
] as const satisfies readonly ChoiceField[];

export type ChoiceName = (typeof CHOICE_FIELDS)[number]["name"];

export const BOUND_FIELDS = [
  { name: "latencyMs", governs: "Call.latencyMs", decimal: false },
  { name: "timeToFirstTokenMs", governs: "Call.timeToFirstTokenMs", decimal: false },
  { name: "totalTokens", governs: "Call.totalTokens", decimal: false },
  { name: "inputTokens", governs: "Call.inputTokens", decimal: false },
  { name: "outputTokens", governs: "Call.outputTokens", decimal: false },
  { name: "amount", governs: "Amount.amount", decimal: true },
] as const;

export type BoundName = (typeof BOUND_FIELDS)[number]["name"];

/** The field of a name, as those of an address or of a column may be any text. */
export function choiceField(name: string): ChoiceField | undefined {
  return CHOICE_FIELDS.find((field) => field.name === name);
}

/** `Type.field` of what a filter has a name for: a field, a figure, or a tag (`tag.team`). */
export function governsOf(name: string): string {
  if (name.startsWith("tag.")) return "Call.tags";
  return (choiceField(name) ?? BOUND_FIELDS.find((field) => field.name === name))?.governs ?? "";
}
