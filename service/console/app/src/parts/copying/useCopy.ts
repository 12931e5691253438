import { useEffect, useState } from "react";
import { copyText } from "./clipboard";

const SAID_MS = 1_500;

/** Copies a text, and for a moment whether it was: to be said, and to be heard. */
export function useCopy(): readonly [boolean, (text: string) => void] {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), SAID_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  return [copied, (text) => void copyText(text).then(setCopied)];
}
