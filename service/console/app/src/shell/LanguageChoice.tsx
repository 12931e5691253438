import { LANGUAGES } from "../language/catalogue";
import { useLanguage, useWords } from "../language/useWords";
import { usePreference } from "../preferences/preferences";
import { words } from "./words";

// Each language in its own words, whichever is shown.
const NAMES = { en: "English", "zh-CN": "简体中文" } as const;

/** The language of the console. */
export function LanguageChoice() {
  const word = useWords(words);
  const [, change] = usePreference("language");
  return (
    <select
      className="select-quiet"
      aria-label={word.language}
      value={useLanguage()}
      onChange={(event) => change(event.target.value as (typeof LANGUAGES)[number])}
    >
      {LANGUAGES.map((language) => (
        <option key={language} value={language} lang={language}>
          {NAMES[language]}
        </option>
      ))}
    </select>
  );
}
