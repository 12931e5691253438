import { useEffect, useLayoutEffect, useMemo, useRef } from "react";
import { Link, useSearch } from "wouter";
import { changed, linkTo } from "../../address/search";
import type { ErrorFilter } from "../../api/gql/graphql";
import { useAnswer } from "../../api/useAnswer";
import { Masked } from "../../calls/Masked";
import { useWords } from "../../language/useWords";
import { count } from "../../numbers/figures";
import { Button } from "../../parts/controls/Button";
import { Popover } from "../../parts/controls/Popover";
import { Copied } from "../../parts/copying/Copied";
import { Moment } from "../../parts/Moment";
import { NoAnswer } from "../../parts/NoAnswer";
import { PlainTable } from "../../parts/PlainTable";
import { Waiting } from "../../parts/Waiting";
import { useSession } from "../../session/SessionContext";
import { isTyping } from "../../shell/useShortcuts";
import { clock, useZone } from "../../time/zone";
import { ErrorsOfGroup } from "./documents";
import type { ErrorGroup } from "./GroupTable";
import { words } from "./words";

interface Props {
  group: ErrorGroup;
  filter: ErrorFilter;
  close(): void;
}

/** The newest errors of one kind, each with the way to its call, and the way to all of its calls. */
export function GroupDetail({ group, filter, close }: Props) {
  const word = useWords(words);
  const search = useSearch();
  const session = useSession();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), [group.fingerprint]);
  useLayoutEffect(() => {
    const part = heading.current?.closest("section");
    // Whoever closes it from within goes on where it was opened.
    return () => {
      if (part?.contains(document.activeElement)) document.querySelector<HTMLElement>(`[data-error="${group.fingerprint}"]`)?.focus();
    };
  }, [group.fingerprint]);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => event.key === "Escape" && !event.defaultPrevented && !isTyping(event.target) && close();
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [close]);
  const wanted = useMemo(() => ({ ...filter, fingerprint: { eq: group.fingerprint } }), [filter, group.fingerprint]);
  const { data, problem, again } = useAnswer(ErrorsOfGroup, {
    filter: wanted,
    message: session.view("CallError.message") !== "DENIED",
    call: session.view("CallError.call") !== "DENIED",
  });
  const calls = linkTo("logs", changed(search, { error: null, order: null, status: "FAILED", errorType: group.type, model: [...group.models] }));
  const rows = data?.errors?.nodes;
  return (
    <section className="error-detail">
      <header className="errors-toolbar">
        <h2 ref={heading} tabIndex={-1}>
          {group.type}
        </h2>
        <Copied text={group.fingerprint} shown={group.fingerprint.slice(0, 12)} />
        <Link className="button button-plain" href={calls}>
          {word.inLogs}
        </Link>
        <TrendTable group={group} />
        <Button kind="quiet" icon="close" aria-label={word.close} onClick={close} />
      </header>
      <p className="quiet">{word.inAll(count(group.count), group.models.join(", "))}</p>
      {problem && <NoAnswer problem={problem} again={again} />}
      {!rows && !problem && <Waiting />}
      {rows && (
        <PlainTable
          caption={word.newest}
          rows={rows}
          keyOf={({ id }) => id}
          columns={[
            {
              name: "at",
              title: word.time,
              cell: ({ occurredAt, call }) =>
                call ? (
                  <Link href={linkTo("logs", changed(search, { error: null, order: null, call: call.id }))}>
                    <Moment at={occurredAt} />
                  </Link>
                ) : (
                  <Moment at={occurredAt} />
                ),
            },
            { name: "message", wide: true, title: word.message, cell: ({ message, disclosure }) => <span className="error-message">{message == null ? word.disclosure[disclosure] : <Masked text={message} />}</span> },
            { name: "model", title: word.model, cell: ({ call }) => call?.model ?? "–" },
            { name: "code", title: word.code, cell: ({ code }) => code ?? "–" },
            { name: "masked", wide: true, title: word.masked, cell: ({ redactions }) => <span className="error-rules">{redactions.map(({ rule, count: times }) => `${rule}\u00a0×\u00a0${times}`).join(", ") || "–"}</span> },
          ]}
        />
      )}
    </section>
  );
}

/** How many there were over the time, as a table: the bars of the list say it to the eye alone. */
function TrendTable({ group }: { group: ErrorGroup }) {
  const word = useWords(words);
  const zone = useZone();
  const buckets = group.buckets ?? [];
  if (buckets.length === 0) return null;
  return (
    <Popover label={word.trend} text={word.trendTable}>
      <PlainTable
        caption={word.trend}
        rows={buckets}
        keyOf={({ start }) => start}
        columns={[
          { name: "from", title: word.time, cell: ({ start }) => clock(start, zone) },
          { name: "count", title: word.count, figures: true, cell: (bucket) => count(bucket.count) },
        ]}
      />
    </Popover>
  );
}
