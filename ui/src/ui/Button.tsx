// Buttons: primary steers the loop, plain is everything else, danger takes something away.
import type { ButtonHTMLAttributes, ReactNode } from "react";
import { Icon, type IconName } from "./Icon.tsx";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: "primary" | "plain" | "quiet" | "danger";
  icon?: IconName;
  busy?: boolean;
  children?: ReactNode;
}

export function Button({ kind = "plain", icon, busy = false, children, className = "", disabled, ...rest }: Props) {
  return (
    <button
      type="button"
      className={`btn btn-${kind} ${children ? "" : "btn-icon"} ${className}`}
      disabled={disabled || busy}
      aria-busy={busy || undefined}
      {...rest}
    >
      {icon && <Icon name={icon} size={14} />}
      {children && <span>{children}</span>}
    </button>
  );
}
