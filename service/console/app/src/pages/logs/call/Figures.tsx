import { words as callWords } from "../../../calls/words";
import { useWords } from "../../../language/useWords";
import { count, duration } from "../../../numbers/figures";
import { Amount } from "../../../parts/Amount";
import type { Call } from "./useCall";
import { words } from "./words";

/** The figures that are looked for first: cost, tokens, latency, first token. */
export function Figures({ call }: { call: Call }) {
  const word = useWords(words);
  const { field, amountUnknown } = useWords(callWords);
  const cost = call.netAmount ?? call.amount;
  const corrected = call.netAmount && call.amount && call.netAmount.amount !== call.amount.amount;
  return (
    <dl className="call-figures">
      <div>
        <dt>{corrected ? field.netAmount : field.amount}</dt>
        <dd>{cost ? <Amount amount={cost.amount} currency={cost.currency} digits={6} /> : word.unknown}</dd>
        {!cost && call.amountUnknown && <dd className="quiet">{amountUnknown[call.amountUnknown]}</dd>}
      </div>
      <div>
        <dt>{word.tokens}</dt>
        <dd>{call.totalTokens == null ? word.unknown : count(call.totalTokens)}</dd>
      </div>
      <div>
        <dt>{field.latencyMs}</dt>
        <dd>{call.latencyMs == null ? word.unknown : duration(call.latencyMs)}</dd>
      </div>
      <div>
        <dt>{field.timeToFirstTokenMs}</dt>
        <dd>{call.timeToFirstTokenMs == null ? word.unknown : duration(call.timeToFirstTokenMs)}</dd>
      </div>
    </dl>
  );
}
