import { useWords } from "../../../language/useWords";
import { Amount } from "../../../parts/Amount";
import { Button } from "../../../parts/controls/Button";
import { Moment } from "../../../parts/Moment";
import type { Call } from "./useCall";
import { words } from "./words";

/** What the amount was changed by afterwards, and what is left of it; of a correction, the call that it corrects. */
export function Corrections({ call, show }: { call: Call; show(id: string): void }) {
  const word = useWords(words);
  const { amount, corrections, corrects, netAmount } = call;
  if (corrects) {
    return (
      <section className="call-part">
        <h3>{word.correction}</h3>
        <p className="call-line">
          {word.correctsCall}
          <Button onClick={() => show(corrects.id)}>{word.openCall}</Button>
        </p>
      </section>
    );
  }
  if (!corrections || corrections.length === 0) return null;
  return (
    <section className="call-part">
      <h3>{word.corrections}</h3>
      <table className="sum">
        <tbody>
          {amount && (
            <tr>
              <th scope="row">{word.asRecorded}</th>
              <td className="figures">
                <Amount amount={amount.amount} currency={amount.currency} digits={6} />
              </td>
            </tr>
          )}
          {corrections.map((correction) => (
            <tr key={correction.id}>
              <th scope="row">
                <button type="button" className="link" onClick={() => show(correction.id)}>
                  {correction.correctedAt && <Moment at={correction.correctedAt} />}
                </button>
              </th>
              <td className="figures">
                {correction.amount && <Amount amount={correction.amount.amount} currency={correction.amount.currency} digits={6} />}
              </td>
            </tr>
          ))}
        </tbody>
        {netAmount && (
          <tfoot>
            <tr>
              <th scope="row">{word.net}</th>
              <td className="figures">
                <Amount amount={netAmount.amount} currency={netAmount.currency} digits={6} />
              </td>
            </tr>
          </tfoot>
        )}
      </table>
    </section>
  );
}
