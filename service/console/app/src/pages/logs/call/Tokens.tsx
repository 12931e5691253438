import { words as callWords } from "../../../calls/words";
import { useWords } from "../../../language/useWords";
import { count } from "../../../numbers/figures";
import type { Call } from "./useCall";
import { words } from "./words";

/** Tokens in and out, and what parts of them were cached or thought. */
export function Tokens({ call }: { call: Call }) {
  const word = useWords(words);
  const { field } = useWords(callWords);
  const rows = [
    [field.inputTokens, call.inputTokens, "--series-1", false],
    [field.cacheReadTokens, call.cacheReadTokens, "--series-1", true],
    [field.cacheWriteTokens, call.cacheWriteTokens, "--series-1", true],
    [field.outputTokens, call.outputTokens, "--series-2", false],
    [field.reasoningTokens, call.reasoningTokens, "--series-2", true],
  ] as const;
  const known = rows.flatMap(([name, value, colour, part]) => (value == null || (part && value === 0) ? [] : [{ name, value, colour, part }]));
  const most = Math.max(1, ...known.map(({ value }) => value));
  if (known.length === 0) return null;
  return (
    <section className="call-part">
      <h3>{word.tokens}</h3>
      <ul className="tokens">
        {known.map(({ name, value, colour, part }) => (
          <li key={name} className={part ? "tokens-part" : undefined}>
            <span>{name}</span>
            <span className="tokens-bar">
              <i style={{ width: `${(value / most) * 100}%`, background: `var(${colour})` }} />
            </span>
            <span className="figures">{count(value)}</span>
          </li>
        ))}
      </ul>
      {call.tokenEfficiency != null && <p className="quiet">{word.efficiency(call.tokenEfficiency.toFixed(2))}</p>}
    </section>
  );
}
