import { useFieldText } from "../../../calls/useFieldText";
import { useWords } from "../../../language/useWords";
import { Button } from "../../../parts/controls/Button";
import { Popover } from "../../../parts/controls/Popover";
import { type Column, SHOWN_AT_FIRST } from "./columns";
import { words } from "../words";

interface Props {
  seen: readonly Column[];
  shown: readonly Column[];
  /** The names of the columns, in their order; null: as at first. */
  change(names: readonly string[] | null): void;
}

/** Which columns are shown, and in which order. */
export function ColumnChooser({ seen, shown, change }: Props) {
  const word = useWords(words);
  const text = useFieldText();
  const names = shown.map((column) => column.name);
  const hidden = seen.filter((column) => !shown.includes(column));
  const moved = (name: string, step: -1 | 1) => {
    const from = names.indexOf(name);
    const next = names.toSpliced(from, 1).toSpliced(from + step, 0, name);
    change(next);
  };
  return (
    <Popover label={word.columns} icon="columns" side="end" text={<span className="wide">{word.columns}</span>}>
      <div className="chooser">
        <ul>
          {shown.map((column, number) => (
            <li key={column.name}>
              <label>
                <input
                  type="checkbox"
                  checked
                  disabled={shown.length === 1}
                  onChange={() => change(names.filter((name) => name !== column.name))}
                />
                {text.name(column.name)}
              </label>
              <Button kind="quiet" icon="up" aria-label={word.earlier(text.name(column.name))} disabled={number === 0} onClick={() => moved(column.name, -1)} />
              <Button kind="quiet" icon="down" aria-label={word.later(text.name(column.name))} disabled={number === shown.length - 1} onClick={() => moved(column.name, 1)} />
            </li>
          ))}
          {hidden.map((column) => (
            <li key={column.name}>
              <label>
                <input type="checkbox" checked={false} onChange={() => change([...names, column.name])} />
                {text.name(column.name)}
              </label>
            </li>
          ))}
        </ul>
        <Button disabled={names.join() === SHOWN_AT_FIRST.join()} onClick={() => change(null)}>
          {word.asAtFirst}
        </Button>
      </div>
    </Popover>
  );
}
