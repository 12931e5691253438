import { useSyncExternalStore } from "react";
import { usePreference } from "../preferences/preferences";

/** A custom property of colour (`--bar`) as a canvas takes it, in the theme that is shown. */
export function resolved(property: string): string {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = `var(${property})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

const dark = matchMedia("(prefers-color-scheme: dark)");

function subscribe(listener: () => void): () => void {
  dark.addEventListener("change", listener);
  return () => dark.removeEventListener("change", listener);
}

/** Changes with the theme, so that a canvas is drawn anew. */
export function useThemeName(): string {
  const [chosen] = usePreference("theme");
  const system = useSyncExternalStore(subscribe, () => (dark.matches ? "dark" : "light"));
  return chosen ?? system;
}

/** The colours of series, in their order; more series than that begin again. */
export function seriesColour(index: number): string {
  return `--series-${(index % 8) + 1}`;
}
