import { useEffect, useState } from "react";

const focus = (selector: string) => document.querySelector<HTMLElement>(selector)?.focus();

/** Whether the filters lie over a narrow page, and how to have them there or not. They take the focus, and Escape closes
 * them, as what lies over something does. */
export function useFacetsShown(): readonly [boolean, (shown: boolean) => void] {
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (!shown) return;
    focus(".facets-close .button");
    const pressed = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !event.defaultPrevented) setShown(false);
    };
    document.addEventListener("keydown", pressed);
    return () => {
      document.removeEventListener("keydown", pressed);
      focus(".toolbar-facets .button");
    };
  }, [shown]);
  return [shown, setShown];
}
