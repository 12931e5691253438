import { type KeyboardEvent, useId, useState } from "react";
import { useFieldText } from "../calls/useFieldText";
import { useWords } from "../language/useWords";
import { count } from "../numbers/figures";
import { Icon } from "../parts/Icon";
import { useSession } from "../session/SessionContext";
import { choiceField } from "./fields";
import { type Suggestion, suggestions } from "./suggestions";
import type { Menu } from "./useFacets";
import { words } from "./words";

interface Props {
  menus: readonly Menu[];
  choose(name: string, value: string, how: "is" | "not"): void;
}

/** The box that `/` goes to: a text finds values of all menus, `model:gpt` those of one, `-model:gpt` leaves one out. */
export function FilterBox({ menus, choose }: Props) {
  const word = useWords(words);
  const fieldText = useFieldText();
  const session = useSession();
  const id = useId();
  const [text, setText] = useState("");
  const [active, setActive] = useState(0);
  const mayFilter = (name: string) => session.mayFilter(choiceField(name)?.governs ?? "Call.tags");
  const found = suggestions(text, menus, mayFilter);
  const take = ({ name, value, out }: Suggestion) => {
    choose(name, value, out ? "not" : "is");
    setText("");
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.key === "Escape") {
      if (text === "") (event.target as HTMLElement).blur();
      setText("");
      return;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const one = found[active];
    if (step !== undefined && found.length > 0) setActive((active + step + found.length) % found.length);
    else if (event.key === "Enter" && one !== undefined) take(one);
    else return;
    event.preventDefault();
  };

  return (
    <div className="filter-box">
      <Icon name="search" />
      <input
        data-filter
        role="combobox"
        aria-label={word.box}
        aria-autocomplete="list"
        aria-expanded={found.length > 0}
        aria-controls={`${id}-list`}
        aria-activedescendant={found.length > 0 ? `${id}-${active}` : undefined}
        placeholder={word.boxHint}
        autoComplete="off"
        spellCheck={false}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setActive(0);
        }}
        onKeyDown={pressed}
        onBlur={() => setText("")}
      />
      <kbd>/</kbd>
      <ul id={`${id}-list`} className="filter-found" role="listbox" aria-label={word.box} hidden={found.length === 0}>
        {found.map((one, number) => (
          <li
            key={`${one.name}=${one.value}`}
            id={`${id}-${number}`}
            role="option"
            aria-selected={number === active}
            className="menu-item"
            // Before the box loses the focus.
            onPointerDown={(event) => {
              event.preventDefault();
              take(one);
            }}
          >
            <span className="chip-field">{fieldText.name(one.name)}</span>
            <span>{one.out ? "≠" : "="}</span>
            <span className="chip-value">{fieldText.value(one.name, one.value)}</span>
            {one.count !== null && <span className="facet-count">{count(one.count)}</span>}
          </li>
        ))}
      </ul>
    </div>
  );
}
