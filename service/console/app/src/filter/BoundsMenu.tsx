import { useId, useState } from "react";
import { useFieldText } from "../calls/useFieldText";
import { useWords } from "../language/useWords";
import { useSession } from "../session/SessionContext";
import { BOUND_FIELDS } from "./fields";
import { type Bound, type Filter, isFigure } from "./filter";
import { words } from "./words";

interface Props {
  bounds: Filter["bounds"];
  bound(name: string, min: string | null, max: string | null): void;
  open: boolean;
  toggle(): void;
}

/** The least and the most of figures: latency, tokens, cost. */
export function BoundsMenu({ bounds, bound, open, toggle }: Props) {
  const word = useWords(words);
  const session = useSession();
  const id = useId();
  const fields = BOUND_FIELDS.filter((field) => session.mayFilter(field.governs));
  const used = Object.keys(bounds).length;
  if (fields.length === 0) return null;
  return (
    <div className="facet">
      <h3>
        <button type="button" className="facet-title" aria-expanded={open} aria-controls={id} onClick={toggle}>
          {word.bounds}
          {used > 0 && <span className="facet-mark">{used}</span>}
        </button>
      </h3>
      {open && (
        <div id={id} className="bounds">
          {fields.map(({ name, decimal }) => (
            <BoundForm key={name} name={name} decimal={decimal} now={bounds[name]} bound={bound} />
          ))}
        </div>
      )}
    </div>
  );
}

interface FormProps {
  name: string;
  decimal: boolean;
  now: Bound | undefined;
  bound: Props["bound"];
}

function BoundForm({ name, decimal, now, bound }: FormProps) {
  const word = useWords(words);
  const text = useFieldText();
  const [min, setMin] = useState(now?.min ?? "");
  const [max, setMax] = useState(now?.max ?? "");
  const [known, setKnown] = useState(now);
  // It was taken back by its chip, or by a step of the history.
  if (JSON.stringify(now) !== JSON.stringify(known)) {
    setKnown(now);
    setMin(now?.min ?? "");
    setMax(now?.max ?? "");
  }
  const good = [min, max].every((figure) => figure === "" || isFigure(figure, decimal));
  const unit = name.endsWith("Ms") ? ` (${word.milliseconds})` : "";
  const apply = () => good && bound(name, min || null, max || null);
  return (
    <form
      className="bound"
      onSubmit={(event) => {
        event.preventDefault();
        apply();
      }}
    >
      <span>{text.name(name) + unit}</span>
      <input
        inputMode="decimal"
        aria-label={word.least(text.name(name))}
        placeholder={word.min}
        value={min}
        aria-invalid={!good}
        onChange={(event) => setMin(event.target.value)}
        onBlur={apply}
      />
      <input
        inputMode="decimal"
        aria-label={word.most(text.name(name))}
        placeholder={word.max}
        value={max}
        aria-invalid={!good}
        onChange={(event) => setMax(event.target.value)}
        onBlur={apply}
      />
      <button type="submit" className="unseen">
        {word.apply}
      </button>
    </form>
  );
}
