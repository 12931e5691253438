/** Calls of one trace within each other: which is a part of which, by the span that each names as its parent. */

export interface TraceCall {
  readonly id: string;
  readonly model: string;
  readonly status: string;
  readonly sourceId?: string | null;
  readonly parentSpanId?: string | null;
  readonly provider?: string | null;
  readonly operation?: string | null;
  readonly attempt?: number | null;
  readonly cacheHit?: boolean | null;
}

export type Kind = "retry" | "fallback" | "fromCache";

export interface Nested<Of> {
  readonly call: Of;
  /** 0: it is a part of no call that is here. */
  readonly depth: number;
  readonly within: Of | null;
  /** What it is to the call before it that is a part of the same. */
  readonly kind: Kind | null;
}

/** Every call once, each right behind what it is a part of, else in the order in which they are given. Parents that are
 * not here, and calls that name each other as parents, are no part of anything. */
export function nested<Of extends TraceCall>(calls: readonly Of[]): readonly Nested<Of>[] {
  const bySpan = new Map<string, Of>();
  for (const call of calls) for (const span of spansOf(call)) bySpan.set(span, call);
  const parts = new Map<Of | null, Of[]>([[null, []]]);
  for (const call of calls) {
    const within = call.parentSpanId ? (bySpan.get(call.parentSpanId) ?? null) : null;
    parts.set(within, [...(parts.get(within) ?? []), call]);
  }
  const found: Nested<Of>[] = [];
  const seen = new Set<Of>();
  const put = (siblings: readonly Of[], depth: number, within: Of | null) => {
    siblings.forEach((call, index) => {
      if (seen.has(call)) return;
      seen.add(call);
      found.push({ call, depth, within, kind: kindOf(call, siblings.slice(0, index)) });
      put(parts.get(call) ?? [], depth + 1, call);
    });
  };
  put(parts.get(null) ?? [], 0, null);
  put(calls, 0, null);
  return found;
}

/** Gateways name a call by its id; a span's is the trace's id, a slash, and its own. */
function spansOf({ sourceId }: TraceCall): string[] {
  return sourceId == null ? [] : [sourceId, sourceId.slice(sourceId.lastIndexOf("/") + 1)];
}

function kindOf(call: TraceCall, before: readonly TraceCall[]): Kind | null {
  if (call.cacheHit) return "fromCache";
  const others = before.filter((other) => other.operation === call.operation);
  const [first, last] = [others[0], others.at(-1)];
  // Calls of an agent follow each other in one trace, too: what comes after a success is another call.
  if (first === undefined || (last?.status !== "FAILED" && !((call.attempt ?? 1) > 1))) return null;
  return call.model === first.model && call.provider === first.provider ? "retry" : "fallback";
}
