/** Copies a text, and says whether it did. Over plain HTTP a browser has no `navigator.clipboard`, or it may be forbidden. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

function copySelected(text: string): boolean {
  const before = document.activeElement;
  // Outside of an open dialog nothing can be selected.
  const frame = before?.closest("dialog") ?? document.body;
  const place = document.createElement("textarea");
  place.value = text;
  place.className = "unseen";
  frame.append(place);
  place.select();
  const copied = document.execCommand("copy");
  place.remove();
  if (before instanceof HTMLElement) before.focus();
  return copied;
}
