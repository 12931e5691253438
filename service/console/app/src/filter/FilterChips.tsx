import type { MouseEvent } from "react";
import { useFieldText } from "../calls/useFieldText";
import { useWords } from "../language/useWords";
import { Icon } from "../parts/Icon";
import type { Filter } from "./filter";
import { words } from "./words";

interface Props {
  filter: Filter;
  choose(name: string, value: string, how: null): void;
  bound(name: string, min: string | null, max: string | null): void;
}

/** By a key, the focus goes on to the box, since its chip is gone; a finger would have its keyboard opened. */
function goOn({ detail }: MouseEvent): void {
  if (detail === 0) document.querySelector<HTMLElement>("[data-filter]")?.focus();
}

/** What the filter says, one chip for each value; a press takes it back. */
export function FilterChips({ filter, choose, bound }: Props) {
  const word = useWords(words);
  const text = useFieldText();
  const choices = [
    ...Object.entries(filter.choices),
    ...Object.entries(filter.tags).map(([key, choice]) => [`tag.${key}`, choice] as const),
  ];
  const chips = choices.flatMap(([name, choice]) => [
    ...choice.is.map((value) => ({ name, value, out: false })),
    ...choice.not.map((value) => ({ name, value, out: true })),
  ]);
  return (
    <ul className="chips" aria-label={word.filters}>
      {chips.map(({ name, value, out }) => {
        const said = `${text.name(name)} ${out ? "≠" : "="} ${text.value(name, value)}`;
        return (
          <li key={said}>
            <button type="button" className="chip" aria-label={word.takeBack(said)} title={said} onClick={(event) => {
                choose(name, value, null);
                goOn(event);
              }}>
              <span className="chip-field">{text.name(name)}</span>
              <span className={out ? "chip-out" : undefined}>{out ? "≠" : "="}</span>
              <span className="chip-value">{text.value(name, value)}</span>
              <Icon name="close" />
            </button>
          </li>
        );
      })}
      {Object.entries(filter.bounds).map(([name, { min, max }]) => {
        const said = [min === null ? "" : `≥ ${min}`, max === null ? "" : `≤ ${max}`].filter(Boolean).join(" ");
        return (
          <li key={name}>
            <button
              type="button"
              className="chip"
              aria-label={word.takeBack(`${text.name(name)} ${said}`)}
              onClick={(event) => {
                bound(name, null, null);
                goOn(event);
              }}
            >
              <span className="chip-field">{text.name(name)}</span>
              <span className="chip-value">{said}</span>
              <Icon name="close" />
            </button>
          </li>
        );
      })}
    </ul>
  );
}
