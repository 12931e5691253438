import { useId, useState } from "react";
import { useFieldText } from "../calls/useFieldText";
import { useWords } from "../language/useWords";
import { count } from "../numbers/figures";
import { Icon } from "../parts/Icon";
import type { Choice } from "./filter";
import type { FacetValue, Menu } from "./useFacets";
import { words } from "./words";

interface Props {
  menu: Menu;
  /** Its values could not be asked for. */
  failed: boolean;
  open: boolean;
  toggle(): void;
  choice: Choice | undefined;
  choose(name: string, value: string, how: "is" | "not" | null): void;
}

const SHOWN = 8;

/** The values of one field, each with its count: a tick has it in, the button at its end leaves it out. */
export function FacetMenu({ menu, failed, open, toggle, choice, choose }: Props) {
  const word = useWords(words);
  const text = useFieldText();
  const id = useId();
  const [all, setAll] = useState(false);
  const values = withChosen(menu.values ?? [], choice);
  const shown = all ? values : values.slice(0, SHOWN);
  const name = text.name(menu.name);

  return (
    <div className="facet">
      <h3>
        <button type="button" className="facet-title" aria-expanded={open} aria-controls={id} onClick={toggle}>
          {name}
          {choice && <span className="facet-mark">{choice.is.length + choice.not.length}</span>}
        </button>
      </h3>
      {open && (
        <ul id={id} className="facet-values">
          {menu.values === null && !failed && <li className="waiting-line" />}
          {shown.map(({ value, count: calls }) => {
            const out = choice?.not.includes(value) ?? false;
            const label = text.value(menu.name, value);
            return (
              <li key={value} className={out ? "facet-value facet-out" : "facet-value"}>
                <label title={label}>
                  <input
                    type="checkbox"
                    checked={choice?.is.includes(value) ?? false}
                    onChange={(event) => choose(menu.name, value, event.target.checked ? "is" : null)}
                  />
                  <span className={value === "" ? "facet-text facet-missing" : "facet-text"}>{label}</span>
                </label>
                <button
                  type="button"
                  className="facet-leave"
                  aria-pressed={out}
                  aria-label={word.leaveOut(`${name}: ${label}`)}
                  title={word.leaveOut(label)}
                  onClick={() => choose(menu.name, value, out ? null : "not")}
                >
                  <Icon name="minus" />
                </button>
                <span className="facet-count">{calls === "" ? "–" : count(calls)}</span>
              </li>
            );
          })}
          {menu.values?.length === 0 && shown.length === 0 && <li className="quiet facet-none">{word.noValues}</li>}
          {values.length > SHOWN && (
            <li>
              <button type="button" className="facet-more" onClick={() => setAll(!all)}>
                {all ? word.fewer : word.more(values.length - SHOWN)}
              </button>
            </li>
          )}
        </ul>
      )}
    </div>
  );
}

/** Those of the service, and what is chosen but has no calls now, so that it can be taken back. */
function withChosen(values: readonly FacetValue[], choice: Choice | undefined): readonly FacetValue[] {
  const there = new Set(values.map(({ value }) => value));
  const missing = [...(choice?.is ?? []), ...(choice?.not ?? [])].filter((value) => !there.has(value));
  return [...missing.map((value) => ({ value, count: "" })), ...values];
}
