import { useWords } from "../language/useWords";
import { Button } from "../parts/controls/Button";
import { usePreference } from "../preferences/preferences";
import { words } from "./words";

const NEXT = { system: "light", light: "dark", dark: null } as const;
const ICONS = { system: "screen", light: "sun", dark: "moon" } as const;

/** Goes round: as the system has it, light, dark. */
export function ThemeChoice() {
  const word = useWords(words);
  const [theme, change] = usePreference("theme");
  const now = theme ?? "system";
  return <Button kind="quiet" icon={ICONS[now]} aria-label={word.theme[now]} onClick={() => change(NEXT[now])} />;
}
