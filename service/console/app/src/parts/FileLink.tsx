import { type MouseEvent, type ReactNode, useEffect, useRef, useState } from "react";

/** The service makes links for an hour. One that is older than this is asked for anew when it is pressed. */
const FRESH_MS = 50 * 60_000;

interface Props {
  /** The path of a file with a link that needs no header, as the service gave it. */
  signedUrl: string;
  /** Asks for that path once more; null: it was not answered, or the file is gone, as whoever asks then says. */
  renewed(): Promise<string | null>;
  kind?: "plain" | "primary";
  label?: string;
  children: ReactNode;
}

const addressOf = (path: string) => new URL(`..${path}`, document.baseURI).href;

/** A download by a link of the service, however long the page has stood there. */
export function FileLink({ signedUrl, renewed, kind = "plain", label, children }: Props) {
  const [renewal, setRenewal] = useState({ of: signedUrl, path: signedUrl });
  const path = renewal.of === signedUrl ? renewal.path : signedUrl;
  const since = useRef(0);
  useEffect(() => {
    since.current = Date.now();
  }, [path]);
  const [busy, setBusy] = useState(false);
  const pressed = async (event: MouseEvent<HTMLAnchorElement>) => {
    if (Date.now() - since.current < FRESH_MS) return;
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    const found = await renewed();
    setBusy(false);
    if (found === null) return;
    setRenewal({ of: signedUrl, path: found });
    Object.assign(document.createElement("a"), { href: addressOf(found), download: "" }).click();
  };
  return (
    <a className={`button button-${kind}`} href={addressOf(path)} download aria-label={label} aria-busy={busy || undefined} onClick={(event) => void pressed(event)}>
      {children}
    </a>
  );
}
