import type { ReactNode } from "react";
import { useAddress } from "../address/address";
import { useFieldText } from "../calls/useFieldText";
import { useWords } from "../language/useWords";
import { Button } from "../parts/controls/Button";
import { Empty } from "../parts/Empty";
import { useSession } from "../session/SessionContext";
import { governsOf } from "./fields";
import { namesOf } from "./filter";
import { useFilter } from "./useFilter";
import { words } from "./words";

/** A page whose filter the role may use; else which part of it is not for them, and the way to the page without that.
 * It is left out by them, not by the page: what is found then is not what the sender of the address saw. */
export function Allowed({ children }: { children: ReactNode }) {
  const word = useWords(words);
  const text = useFieldText();
  const session = useSession();
  const { filter } = useFilter();
  const refused = namesOf(filter).filter((name) => !session.mayFilter(governsOf(name)));
  const [, change] = useAddress();
  if (refused.length === 0) return children;
  const without = refused.flatMap((name) => [name, `not.${name}`, `min.${name}`, `max.${name}`]);
  return (
    <Empty title={word.refused}>
      <p>{word.refusedWhy(refused.map(text.name).join(", "))}</p>
      <p className="empty-actions">
        <Button onClick={() => change(Object.fromEntries(without.map((name) => [name, null])))}>{word.withoutRefused}</Button>
      </p>
    </Empty>
  );
}
