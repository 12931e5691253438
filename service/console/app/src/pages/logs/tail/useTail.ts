import { createClient } from "graphql-sse";
import { useEffect, useRef, useState } from "react";
import { stringifyDocument } from "urql";
import { GRAPHQL_URL } from "../../../address/address";
import type { CallFilter } from "../../../api/gql/graphql";
import { useSession } from "../../../session/SessionContext";
import { Tail } from "../documents";

export interface Tailed {
  /** Calls that were recorded since the list was read. */
  readonly fresh: number;
  readonly state: "off" | "connecting" | "live" | "paused" | "broken";
}

const OFF: Tailed = { fresh: 0, state: "off" };

/** Counts the calls that are recorded from now on and fit the filter, by `callRecorded` over server-sent events, and
 * begins anew with each reading of the list, whose time the stream outlasts. While the tab is hidden nothing is listened
 * to. */
export function useTail(filter: CallFilter, wanted: boolean): Tailed {
  const { credential } = useSession();
  const [tailed, setTailed] = useState<Tailed>(OFF);
  const visible = useVisible();

  const from = useRef<string | null>(null);
  const fitting = JSON.stringify({ ...filter, startedAt: undefined });

  useEffect(() => {
    from.current = filter.startedAt?.gte ?? null;
    setTailed(({ state }) => ({ fresh: 0, state }));
  }, [filter, wanted]);
  useEffect(() => {
    if (!wanted || !visible) {
      setTailed(({ fresh }) => ({ fresh, state: wanted ? "paused" : "off" }));
      return;
    }
    const state = (next: Tailed["state"]) => setTailed(({ fresh }) => ({ fresh, state: next }));
    const client = createClient({
      url: GRAPHQL_URL,
      headers: { authorization: `Bearer ${credential}` },
      credentials: "omit",
      retryAttempts: 20,
      on: { connecting: () => state("connecting"), connected: () => state("live") },
    });
    const end = client.subscribe(
      { query: stringifyDocument(Tail), variables: { filter: { ...(JSON.parse(fitting) as CallFilter), ...(from.current !== null && { startedAt: { gte: from.current } }) } } },
      {
        next: ({ errors }) => (errors ? state("broken") : setTailed(({ fresh }) => ({ fresh: fresh + 1, state: "live" }))),
        error: () => state("broken"),
        complete: () => undefined,
      },
    );
    return () => {
      end();
      client.dispose();
    };
  }, [fitting, wanted, visible, credential]);
  return tailed;
}

function useVisible(): boolean {
  const [visible, setVisible] = useState(() => document.visibilityState === "visible");
  useEffect(() => {
    const changed = () => setVisible(document.visibilityState === "visible");
    document.addEventListener("visibilitychange", changed);
    return () => document.removeEventListener("visibilitychange", changed);
  }, []);
  return visible;
}
