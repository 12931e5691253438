/** What somebody has chosen for this browser: kept in `localStorage`, and the same in all of its tabs. Nothing of it is
 * about calls. */

import { useSyncExternalStore } from "react";
import type { Language } from "../language/catalogue";

export interface Preferences {
  language: Language | null;
  theme: "light" | "dark" | null;
  /** The zone that moments are shown in, and that days begin in. */
  zone: "utc" | "local" | null;
  density: "compact" | "comfortable" | null;
  navigation: "narrow" | null;
}

const PREFIX = "calledger.";
const listeners = new Set<() => void>();
const changed = () => listeners.forEach((listener) => listener());

/** What is stored under a name, or null: also where a browser stores nothing. */
export function stored(name: string): string | null {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

/** Stores a text under a name (null: nothing any more), and tells who shows it. */
export function store(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, value);
  } catch {
    // A browser that stores nothing, or a full store: the choice holds until the page is left.
  }
  changed();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  addEventListener("storage", listener);
  return () => {
    listeners.delete(listener);
    removeEventListener("storage", listener);
  };
}

/** A stored text, and how to change it. */
export function useStored(name: string): [string | null, (value: string | null) => void] {
  const value = useSyncExternalStore(subscribe, () => stored(name));
  return [value, (next) => store(name, next)];
}

/** A preference, null where nothing was chosen, and how to change it. */
export function usePreference<Name extends keyof Preferences>(
  name: Name,
): [Preferences[Name], (value: Preferences[Name]) => void] {
  const [value, change] = useStored(name);
  return [value as Preferences[Name], change];
}
