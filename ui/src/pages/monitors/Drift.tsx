// Drift of every feature in every window, and the picked cell's distribution beside the reference.
import { useCallback, useMemo } from "react";
import type { FeatureDrift, Monitor, MonitorWindow } from "../../api/types.ts";
import { Figure } from "../../charts/Figure.tsx";
import { HeatMap, type HeatCell } from "../../charts/HeatMap.tsx";
import { number } from "../../format/number.ts";
import { day, dayClock } from "../../format/time.ts";
import { useUrl } from "../../ui/useUrl.ts";
import { FeatureDetail } from "./FeatureDetail.tsx";
import { versionChanges, withMissing } from "./windows.ts";

/** PSI where there is one, else the test statistic, as a share of its threshold. */
function ratioOf(feature: FeatureDrift): number | null {
  const value = feature.psi ?? feature.statistic;
  return value === null || !feature.threshold ? null : value / feature.threshold;
}

export function Drift({ windows, monitor }: { windows: MonitorWindow[]; monitor: Monitor }) {
  const [search, setSearch] = useUrl();
  const shown = useMemo(() => windows.filter((window) => window.drift), [windows]);
  const slots = useMemo(() => withMissing(shown), [shown]);
  const features = useMemo(() => {
    const last = shown.at(-1)?.drift?.features ?? {};
    const worst = (name: string): number => (last[name] ? (ratioOf(last[name]) ?? -1) : -1);
    return [...new Set([...monitor.features, ...shown.flatMap((window) => Object.keys(window.drift?.features ?? {}))])].sort(
      (a, b) => worst(b) - worst(a),
    );
  }, [shown, monitor.features]);
  const columns = useMemo(() => {
    const changes = new Map(versionChanges(shown).map(({ index, version }) => [index, version]));
    return slots.map((slot) => ({
      key: String(slot.startUs),
      tick: day(slot.startUs).replace(/ \d{4}$/, ""),
      marker: slot.at !== null && changes.has(slot.at) ? `v${changes.get(slot.at)}` : null,
    }));
  }, [shown, slots]);
  const cell = useCallback(
    (row: number, column: number): HeatCell => {
      const name = features[row] ?? "";
      const slot = slots[column];
      const window = slot && slot.at !== null ? shown[slot.at] : undefined;
      const feature = window?.drift?.features[name];
      if (!window) return { ratio: null, alarm: false, text: `${name}, ${slot ? dayClock(slot.startUs) : ""}: no window` };
      if (!feature)
        return {
          ratio: null,
          alarm: false,
          text: `${name}, ${dayClock(window.start_us)} to ${dayClock(window.end_us)}: ${number(window.rows)} rows, too few for a verdict`,
          hollow: true,
        };
      const what = feature.psi !== null ? `PSI ${number(feature.psi)}` : `statistic ${number(feature.statistic)}`;
      return {
        ratio: ratioOf(feature),
        alarm: feature.alarm,
        text: `${name}, ${dayClock(window.start_us)} to ${dayClock(window.end_us)}: ${what}, threshold ${number(feature.threshold)}, ${number(window.rows)} rows${feature.alarm ? ", alarm" : ""}`,
      };
    },
    [features, shown, slots],
  );

  const row = Math.max(0, features.indexOf(search["feature"] ?? ""));
  const found = slots.findIndex((slot) => slot.at !== null && String(slot.startUs) === search["window"]);
  const column = found < 0 ? slots.length - 1 : found;
  const window = shown[slots[column]?.at ?? -1];
  const name = features[row];
  if (!window || !name) return null;
  const sheet = () => ({
    head: ["window end", "feature", "psi", "statistic", "p_value", "threshold", "alarm", "rows"],
    rows: shown.flatMap((each) =>
      features.map((feature) => {
        const drift = each.drift?.features[feature];
        return [
          new Date(each.end_us / 1000).toISOString(),
          feature,
          drift?.psi ?? null,
          drift?.statistic ?? null,
          drift?.p_value ?? null,
          drift?.threshold ?? null,
          drift?.alarm ? "yes" : "no",
          each.rows,
        ];
      }),
    ),
  });
  return (
    <div className="grid-drift">
      <Figure
        title="Drift by feature and window"
        note={`${features.length} features, ${shown.length} windows, worst first`}
        name={`${monitor.name}-drift`}
        sheet={sheet}
      >
        <HeatMap
          label="Drift by feature and window"
          rows={features}
          columns={columns}
          cell={cell}
          picked={{ row, column }}
          onPick={(r, c) => {
            if (slots[c] && slots[c].at !== null) setSearch({ feature: features[r], window: String(slots[c].startUs) });
          }}
        />
      </Figure>
      <FeatureDetail monitor={monitor.name} feature={name} window={window} />
    </div>
  );
}
