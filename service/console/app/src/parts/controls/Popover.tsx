import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { Button } from "./Button";
import type { IconName } from "../Icon";

interface Props {
  label: string;
  icon?: IconName;
  /** Shown on the button; without it the icon stands alone. */
  text?: ReactNode;
  kind?: "plain" | "quiet";
  side?: "start" | "end";
  children: ReactNode | ((close: () => void) => ReactNode);
}

/** A button with a panel under it. Escape, a press outside, and leaving it by Tab close the panel. */
export function Popover({ label, icon, text, kind = "plain", side = "start", children }: Props) {
  const id = useId();
  const [open, setOpen] = useState(false);
  const whole = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (!whole.current?.contains(event.target as Node)) setOpen(false);
    };
    const escape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      setOpen(false);
      whole.current?.querySelector("button")?.focus();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    document.addEventListener("keydown", escape, true);
    whole.current?.querySelector<HTMLElement>(".popover [autofocus], .popover input, .popover button")?.focus();
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
      document.removeEventListener("keydown", escape, true);
    };
  }, [open]);
  return (
    <div className="popover-whole" ref={whole}>
      <Button
        kind={kind}
        aria-label={text === undefined ? label : undefined}
        aria-haspopup="dialog"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        onClick={() => setOpen(!open)}
        {...(icon && { icon })}
      >
        {text}
      </Button>
      {open && (
        <div id={id} className={`popover popover-${side}`} role="dialog" aria-label={label}>
          {typeof children === "function" ? children(() => setOpen(false)) : children}
        </div>
      )}
    </div>
  );
}
