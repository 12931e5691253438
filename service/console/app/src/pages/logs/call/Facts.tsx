import type { ReactNode } from "react";
import { useFieldText } from "../../../calls/useFieldText";
import { words as callWords } from "../../../calls/words";
import { useFilter } from "../../../filter/useFilter";
import { useWords } from "../../../language/useWords";
import { count } from "../../../numbers/figures";
import { Button } from "../../../parts/controls/Button";
import { Copied } from "../../../parts/copying/Copied";
import { Moment } from "../../../parts/Moment";
import { useSession } from "../../../session/SessionContext";
import { choiceField } from "../../../filter/fields";
import { millisecond } from "../../../time/zone";
import type { Call } from "./useCall";
import { words } from "./words";

const NAMES = ["model", "servedModel", "provider", "operation", "account", "apiKey", "team", "organization", "deployment", "normalizedError", "source"] as const;
const IDS = ["user", "traceId", "parentSpanId", "sessionId", "sourceId", "providerRequestId", "teamId", "organizationId"] as const;
const FLAGS = ["streamed", "cacheHit"] as const;

/** What else is known of the call; each value can be filtered by. */
export function Facts({ call }: { call: Call }) {
  const word = useWords(words);
  const { boolean } = useWords(callWords);
  const text = useFieldText();
  const fact = (name: string, shown: ReactNode, value: string) => (
    <Fact key={name + value} name={name} label={text.name(name)} value={value}>
      {shown}
    </Fact>
  );
  return (
    <section className="call-part">
      <h3>{word.details}</h3>
      <dl className="facts">
        {NAMES.map((name) => call[name] != null && fact(name, call[name], call[name]))}
        {FLAGS.map((name) => call[name] != null && fact(name, boolean[call[name] ? "true" : "false"], String(call[name])))}
        {call.attempt != null && fact("attempt", count(call.attempt), String(call.attempt))}
        {call.tags?.map(({ key, value }) => value != null && fact(`tag.${key}`, value, value))}
        {call.units?.map(({ name, quantity }) => fact(name, quantity, quantity))}
        {IDS.map((name) => call[name] != null && fact(name, <Copied text={call[name]} />, call[name]))}
        {call.recordedAt != null && fact("recordedAt", <Moment at={call.recordedAt} text={millisecond} />, call.recordedAt)}
      </dl>
    </section>
  );
}

interface FactProps {
  name: string;
  label: string;
  value: string;
  children: ReactNode;
}

function Fact({ name, label, value, children }: FactProps) {
  const word = useWords(words);
  const session = useSession();
  const { choose } = useFilter();
  const governs = name.startsWith("tag.") ? "Call.tags" : choiceField(name)?.governs;
  return (
    <div>
      <dt>{label}</dt>
      <dd>
        {children}
        {governs !== undefined && session.mayFilter(governs) && (
          <Button kind="quiet" icon="filter" aria-label={word.filterBy(`${label} = ${value}`)} onClick={() => choose(name, value, "is")} />
        )}
      </dd>
    </div>
  );
}
