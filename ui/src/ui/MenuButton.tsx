// A button that opens a menu of acts that are needed seldom.
import { useState } from "react";
import { Button } from "./Button.tsx";
import { Menu, type MenuItem } from "./Menu.tsx";

export function MenuButton({ label, items }: { label: string; items: MenuItem[] }) {
  const [at, setAt] = useState<DOMRect | null>(null);
  return (
    <>
      <Button
        icon="down"
        aria-haspopup="menu"
        aria-expanded={at !== null}
        onClick={(event) => setAt(event.currentTarget.getBoundingClientRect())}
      >
        {label}
      </Button>
      {at && <Menu label={label} at={at} items={items} onClose={() => setAt(null)} />}
    </>
  );
}
