import { words as callWords } from "../../../calls/words";
import { useWords } from "../../../language/useWords";
import { exact, grouped } from "../../../numbers/decimal";
import { Amount } from "../../../parts/Amount";
import { PlainTable } from "../../../parts/PlainTable";
import type { Call } from "./useCall";
import { words } from "./words";

/** What the call cost, of which parts that is made, and who says so. */
export function Cost({ call }: { call: Call }) {
  const word = useWords(words);
  const { amountSource, amountUnknown } = useWords(callWords);
  const { amount, amountParts } = call;
  if (!amount && !call.amountUnknown) return null;
  const meters: Readonly<Record<string, string>> = word.meter;
  return (
    <section className="call-part">
      <h3>{word.cost}</h3>
      {!amount && call.amountUnknown && <p>{word.noCost(amountUnknown[call.amountUnknown])}</p>}
      {amount && (
        <p className="call-line">
          <Amount amount={exact(amount.amount)} currency={amount.currency} digits={6} />
          <span className="badge">{amountSource[amount.source]}</span>
        </p>
      )}
      {amountParts && amountParts.length > 0 && (
        <PlainTable
          caption={word.parts}
          quietCaption
          rows={amountParts.map((part, number) => ({ ...part, number }))}
          keyOf={(part) => String(part.number)}
          columns={[
            { name: "meter", title: word.part, cell: (part) => meters[part.meter] ?? part.meter },
            { name: "quantity", title: word.quantity, figures: true, cell: (part) => part.quantity && grouped(part.quantity) },
            { name: "unitPrice", title: word.unitPrice, figures: true, cell: (part) => part.unitPrice && exact(part.unitPrice) },
            { name: "amount", title: word.amount, figures: true, cell: (part) => exact(part.amount) },
            { name: "priceList", title: word.priceList, cell: (part) => (part.priceList ? <code title={part.priceList}>{shortened(part.priceList)}</code> : word.reported) },
          ]}
        />
      )}
    </section>
  );
}

/** `name@digest` with the first digits of its digest. */
function shortened(priceList: string): string {
  const [name = "", digest = ""] = priceList.split("@");
  return digest === "" ? name : `${name}@${digest.replace(/^sha256:/, "").slice(0, 8)}`;
}
