// What the keys do.
import { Dialog } from "../ui/Dialog.tsx";
import { ABOUT, ENTRIES } from "./nav.ts";

const GENERAL: [string[], string][] = [
  [["Ctrl", "K"], "Find anything"],
  [["/"], "Go to the filter of the page"],
  [["j"], "Next row"],
  [["k"], "Previous row"],
  [["Enter"], "Open the row"],
  [["x"], "Select the row"],
  [["?"], "This list"],
  [["Esc"], "Close"],
];

export function Shortcuts({ onClose }: { onClose: () => void }) {
  const line = (keys: string[], text: string) => (
    <div key={text} className="shortcut">
      <dt>
        {keys.map((key) => (
          <kbd key={key}>{key}</kbd>
        ))}
      </dt>
      <dd>{text}</dd>
    </div>
  );
  return (
    <Dialog title="Keyboard" onClose={onClose} wide>
      <div className="grid-2">
        <section>
          <h3>Anywhere</h3>
          <dl>{GENERAL.map(([keys, text]) => line(keys, text))}</dl>
        </section>
        <section>
          <h3>Go to</h3>
          <dl>{[...ENTRIES, ...ABOUT].map((entry) => line(["g", entry.key], entry.label))}</dl>
        </section>
      </div>
    </Dialog>
  );
}
