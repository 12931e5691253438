import { createClient } from "graphql-sse";
import { useEffect, useState } from "react";
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

/** Counts the calls that are recorded from now on and fit the filter, by `callRecorded` over server-sent events. While
 * the tab is hidden nothing is listened to. */
export function useTail(filter: CallFilter, wanted: boolean): Tailed {
  const { credential } = useSession();
  const [tailed, setTailed] = useState<Tailed>(OFF);
  const visible = useVisible();

  useEffect(() => {
    setTailed(OFF);
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
      { query: stringifyDocument(Tail), variables: { filter: fromNowOn(filter) } },
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
  }, [filter, wanted, visible, credential]);
  return tailed;
}

/** The filter without the end of its time, which is now. */
function fromNowOn({ startedAt, ...rest }: CallFilter): CallFilter {
  return { ...rest, ...(startedAt?.gte != null && { startedAt: { gte: startedAt.gte } }) };
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
