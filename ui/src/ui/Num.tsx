// A figure with three significant digits and the exact value on hover.
import { exact, figure } from "../format/number.ts";

export function Num({ value, unit }: { value: number | null | undefined; unit?: string }) {
  return (
    <span className="nowrap" title={exact(value)}>
      {figure(value)}
      {unit && value !== null && value !== undefined && <span className="unit"> {unit}</span>}
    </span>
  );
}
