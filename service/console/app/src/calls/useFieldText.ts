import { useMemo } from "react";
import { useWords } from "../language/useWords";
import { words } from "./words";

export interface FieldText {
  name(field: string): string;
  value(field: string, value: string): string;
}

/** What a field and a value of it are called: of a parameter of the address (`model`, `tag.team`) or of a column. The
 * same object while the language is. */
export function useFieldText(): FieldText {
  const word = useWords(words);
  return useMemo(() => fieldTextOf(word), [word]);
}

function fieldTextOf(word: (typeof words)["en"]): FieldText {
  const fields: Readonly<Record<string, string>> = word.field;
  const enums: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    status: word.status,
    streamed: word.boolean,
    cacheHit: word.boolean,
    isCorrection: word.boolean,
  };
  return {
    name: (field) => (field.startsWith("tag.") ? word.tag(field.slice(4)) : (fields[field] ?? field)),
    value: (field, value) => (value === "" ? word.notReported : (enums[field]?.[value] ?? value)),
  };
}
