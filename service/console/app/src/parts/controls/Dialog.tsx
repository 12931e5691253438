import { type ReactNode, useEffect, useId, useRef } from "react";
import { useWords } from "../../language/useWords";
import { Button } from "./Button";
import { words } from "../words";

interface Props {
  title: string;
  close(): void;
  children: ReactNode;
}

/** A modal dialog, by the browser's own: it keeps the focus, and Escape closes it. */
export function Dialog({ title, close, children }: Props) {
  const word = useWords(words);
  const id = useId();
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => element.current?.showModal(), []);
  return (
    <dialog ref={element} className="dialog" aria-labelledby={id} onClose={close}>
      <header className="dialog-head">
        <h2 id={id}>{title}</h2>
        <Button kind="quiet" icon="close" aria-label={word.close} onClick={() => element.current?.close()} />
      </header>
      {children}
    </dialog>
  );
}
