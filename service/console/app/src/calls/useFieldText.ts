import { useWords } from "../language/useWords";
import { words } from "./words";

/** What a field and a value of it are called: of a parameter of the address (`model`, `tag.team`) or of a column. */
export function useFieldText(): { name(field: string): string; value(field: string, value: string): string } {
  const word = useWords(words);
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
