// An alias as a badge; champion and challenger in their colours.
import { Badge, type Tone } from "../../ui/Badge.tsx";

export function Alias({ name, version }: { name: string; version?: number }) {
  const tone: Tone = name === "champion" || name === "challenger" ? name : "quiet";
  return (
    <Badge tone={tone}>
      {name}
      {version !== undefined && <b>v{version}</b>}
    </Badge>
  );
}
