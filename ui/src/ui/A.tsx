// A link inside the app: a real href, followed by the router without a page load; its code is fetched on hover.
import { useRouter } from "@tanstack/react-router";
import type { AnchorHTMLAttributes, MouseEvent } from "react";

type Props = AnchorHTMLAttributes<HTMLAnchorElement> & { href: string };

export function A({ href, onClick, ...rest }: Props) {
  const router = useRouter();
  const local = href.startsWith("/") && !href.startsWith("/api/");
  const go = (event: MouseEvent<HTMLAnchorElement>): void => {
    onClick?.(event);
    if (event.defaultPrevented || !local || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    router.history.push(href);
  };
  const warm = (): void => {
    if (local) void router.preloadRoute({ to: href.split("?")[0] ?? href }).catch(() => undefined);
  };
  return <a href={href} onClick={go} onPointerEnter={warm} {...rest} />;
}
