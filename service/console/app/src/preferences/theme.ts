import { useEffect } from "react";
import { usePreference } from "./preferences";

/** Puts the theme that was chosen on the document; none was: the stylesheet goes by `prefers-color-scheme`. */
export function useTheme(): void {
  const [theme] = usePreference("theme");
  useEffect(() => {
    if (theme === null) delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme;
  }, [theme]);
}
