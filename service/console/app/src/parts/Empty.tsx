import type { ReactNode } from "react";

interface Props {
  title: string;
  children?: ReactNode;
}

/** Why there is nothing to show, and what to do: no data yet, no match, out of retention, or no permission. */
export function Empty({ title, children }: Props) {
  return (
    <div className="empty" role="status">
      <p className="empty-title">{title}</p>
      {children}
    </div>
  );
}
