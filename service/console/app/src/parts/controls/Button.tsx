import type { ButtonHTMLAttributes } from "react";
import { Icon, type IconName } from "../Icon";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: "plain" | "primary" | "quiet" | "danger";
  icon?: IconName;
  /** Something is waited for: it cannot be pressed, and says so. */
  busy?: boolean;
}

/** A button; one that shows an icon alone needs an `aria-label`. */
export function Button({ kind = "plain", icon, busy = false, className = "", children, ...rest }: Props) {
  return (
    <button
      type="button"
      {...rest}
      className={`button button-${kind} ${className}`}
      disabled={busy || rest.disabled}
      aria-busy={busy || undefined}
      title={rest.title ?? (children ? undefined : rest["aria-label"])}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}
