import { useId } from "react";

interface Props<Value extends string> {
  label: string;
  options: readonly { readonly value: Value; readonly text: string }[];
  value: Value;
  change(value: Value): void;
}

/** A few options beside each other, of which one holds: radio buttons that look like one control. */
export function Choice<Value extends string>({ label, options, value, change }: Props<Value>) {
  const name = useId();
  return (
    <fieldset className="choice">
      <legend className="unseen">{label}</legend>
      {options.map((option) => (
        <label key={option.value} className="choice-option">
          <input
            type="radio"
            className="unseen"
            name={name}
            value={option.value}
            checked={option.value === value}
            onChange={() => change(option.value)}
          />
          <span>{option.text}</span>
        </label>
      ))}
    </fieldset>
  );
}
