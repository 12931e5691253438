import { useEffect, useLayoutEffect, useRef } from "react";
import { StatusBadge } from "../../../calls/StatusBadge";
import { useWords } from "../../../language/useWords";
import { Button } from "../../../parts/controls/Button";
import { Copied } from "../../../parts/copying/Copied";
import { Empty } from "../../../parts/Empty";
import { Moment } from "../../../parts/Moment";
import { ProblemNote } from "../../../parts/ProblemNote";
import { useCopy } from "../../../parts/copying/useCopy";
import { Waiting } from "../../../parts/Waiting";
import { isTyping } from "../../../shell/useShortcuts";
import { millisecond } from "../../../time/zone";
import type { Row } from "../list/columns";
import type { Rows } from "../list/rows";
import { useLoaded } from "../list/useCalls";
import { Attempts } from "./Attempts";
import "./call.css";
import { Corrections } from "./Corrections";
import { Cost } from "./Cost";
import { ErrorDetails } from "./error/ErrorDetails";
import { Facts } from "./Facts";
import { Figures } from "./Figures";
import { NoContent } from "./NoContent";
import { Tokens } from "./Tokens";
import { useCall } from "./useCall";
import { words } from "./words";

interface Props {
  id: string;
  rows: Rows<Row>;
  /** Opens another call; null closes. */
  show(id: string | null): void;
}

/** One call beside the list, which stays in use: J and K go on to the next and the one before, Escape closes. */
export function CallDrawer({ id, rows, show }: Props) {
  const word = useWords(words);
  const element = useRef<HTMLElement>(null);
  useLoaded(rows);
  const index = rows.indexOf((row) => row.id === id);
  const next = rows.row(index + 1)?.id;
  const before = index > 0 ? rows.row(index - 1)?.id : undefined;

  useLayoutEffect(() => {
    const drawer = element.current;
    // Whoever closes it from within goes on in the list.
    return () => {
      if (drawer?.contains(document.activeElement)) document.querySelector<HTMLElement>("[role=grid]")?.focus();
    };
  }, []);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      if (event.key === "Escape") show(null);
      else if (event.key === "j" && next !== undefined) show(next);
      else if (event.key === "k" && before !== undefined) show(before);
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [next, before, show]);

  return (
    <aside className="call" ref={element} aria-label={word.call}>
      <div className="call-buttons">
        <LinkOf />
        <Button kind="quiet" icon="up" aria-label={word.before} disabled={before === undefined} onClick={() => before && show(before)} />
        <Button kind="quiet" icon="down" aria-label={word.next} disabled={next === undefined} onClick={() => next && show(next)} />
        <Button kind="quiet" icon="close" aria-label={word.close} onClick={() => show(null)} />
      </div>
      <OpenCall key={id} id={id} show={show} />
    </aside>
  );
}

/** What is known of the call. The buttons beside it stay with the next one, and so does the focus. */
function OpenCall({ id, show }: { id: string; show(id: string): void }) {
  const word = useWords(words);
  const { data, problem, waiting, again } = useCall(id);
  const call = data?.call;
  return (
    <>
      <header className="call-head">
        {call ? <StatusBadge status={call.status} /> : <span>{word.call}</span>}
        {call && <Moment at={call.startedAt} text={millisecond} />}
      </header>
      <div className="call-body" aria-busy={waiting}>
        {problem !== null && <ProblemNote problem={problem} again={again} />}
        {data === undefined && problem === null && <Waiting lines={12} />}
        {data !== undefined && problem === null && call === null && (
          <Empty title={word.gone}>
            <p>{word.goneWhy}</p>
          </Empty>
        )}
        {call && (
          <>
            <div className="call-title">
              <h2>{call.model}</h2>
              <Copied text={call.id} />
            </div>
            <Figures call={call} />
            {call.error && <ErrorDetails error={call.error} />}
            <Attempts call={call} show={show} />
            <Tokens call={call} />
            <Cost call={call} />
            <Corrections call={call} show={show} />
            <Facts call={call} />
            <NoContent />
          </>
        )}
      </div>
    </>
  );
}

/** Copies the address of the open call, with the list that it was found in. */
function LinkOf() {
  const word = useWords(words);
  const [copied, copy] = useCopy();
  return (
    <>
      <Button kind="quiet" icon={copied ? "check" : "link"} aria-label={word.copyLink} onClick={() => copy(location.href)} />
      <span className="unseen" role="status">
        {copied ? word.linkCopied : ""}
      </span>
    </>
  );
}
