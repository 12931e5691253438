import { Link, useSearch } from "wouter";
import { type Change, changed, linkTo } from "../../address/search";
import { useFieldText } from "../../calls/useFieldText";
import { useWords } from "../../language/useWords";
import { Choice } from "../../parts/controls/Choice";
import { Icon } from "../../parts/Icon";
import { useSession } from "../../session/SessionContext";
import { useRange } from "../../time/RangeContext";
import { WITHOUT } from "./groups/dimension";
import { type Costs, bucketsOf } from "./useCosts";
import { words } from "./words";

interface Props {
  costs: Costs;
  change(change: Change, how?: { replace?: boolean }): void;
}

/** What costs are grouped by, how wide the bars are, which currency is shown, and the way to an export of them. */
export function Toolbar({ costs, change }: Props) {
  const word = useWords(words);
  const text = useFieldText();
  const search = useSearch();
  const session = useSession();
  const { period } = useRange();
  const { dimension, dimensions, bucket, currencies, currency } = costs;
  const named = dimensions.includes(dimension) ? dimensions : [...dimensions, dimension];
  return (
    <div className="costs-toolbar" role="group" aria-label={word.toolbar}>
      <label className="costs-by">
        <span>{word.by}</span>
        <select value={dimension} onChange={(event) => change({ by: event.target.value })}>
          {named.map((name) => (
            <option key={name} value={name}>
              {text.name(name)}
            </option>
          ))}
        </select>
      </label>
      <Choice
        label={word.width}
        options={bucketsOf(period).possible.map((value) => ({ value, text: word.bucket[value] }))}
        value={bucket}
        change={(value) => change({ bucket: value })}
      />
      {currency !== null && currencies.length > 1 && (
        <Choice
          label={word.currency}
          options={currencies.map((value) => ({ value, text: value }))}
          value={currency}
          change={(value) => change({ money: value })}
        />
      )}
      {session.mayAsk("createExport") && (
        <Link className="button button-plain costs-end" href={linkTo("exports", changed(search, { ...WITHOUT, kind: "COSTS" }))}>
          <Icon name="download" />
          {word.exported}
        </Link>
      )}
    </div>
  );
}
