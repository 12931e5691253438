import { useWords } from "../../language/useWords";
import { words } from "./words";

type Named = "dataClass" | "stores" | "views" | "actions" | "purges" | "erasureStates" | "doubts" | "kinds";

/** What a value of an enum is called; one that the console does not know yet, by its own name. */
export function useWordOf(): (of: Named, value: string) => string {
  const word = useWords(words);
  const tables: Readonly<Record<Named, Readonly<Record<string, string>>>> = {
    dataClass: word.dataClass,
    stores: word.stores,
    views: word.views,
    actions: word.actions,
    purges: word.purges,
    erasureStates: word.erasureStates,
    doubts: word.doubts,
    kinds: word.kinds,
  };
  return (of, value) => tables[of][value] ?? value;
}
