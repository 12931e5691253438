import { usePreference } from "../preferences/preferences";
import { type Catalogue, type Language, type Words, preferredLanguage } from "./catalogue";

/** The language of the console: as chosen, else as the browser asks. */
export function useLanguage(): Language {
  const [chosen] = usePreference("language");
  return chosen ?? preferredLanguage(navigator.languages);
}

/** The words of a catalogue in the language of the console. */
export function useWords<T extends Words>(catalogue: Catalogue<T>): Catalogue<T>["en"] {
  return catalogue[useLanguage()];
}
