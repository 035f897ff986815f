// One metric over the versions of a model, with the champion and the challenger marked in their colours.
import type { ModelVersion } from "../../api/types.ts";
import { Figure } from "../../charts/Figure.tsx";
import { number } from "../../format/number.ts";
import { dayClock } from "../../format/time.ts";
import { useSize } from "../../ui/useSize.ts";
import { useUrl } from "../../ui/useUrl.ts";
import { A } from "../../ui/A.tsx";
import { paths } from "../../paths.ts";
import "./models.css";

const HEIGHT = 170;
const PAD = { left: 52, right: 28, top: 24, bottom: 26 };

const colorOf = (version: ModelVersion): string =>
  version.aliases.includes("champion") ? "--champion" : version.aliases.includes("challenger") ? "--challenger" : "--series-6";

export function VersionTrend({ versions }: { versions: ModelVersion[] }) {
  const [search, setSearch] = useUrl();
  const [box, width] = useSize<HTMLDivElement>();
  const keys = [...new Set(versions.flatMap((version) => Object.keys(version.metrics)))];
  const metric = keys.find((key) => key === search["metric"]) ?? keys[0];
  if (!metric) return null;
  const known = versions
    .filter((version) => typeof version.metrics[metric] === "number")
    .sort((a, b) => a.version - b.version)
    .slice(-60);
  if (known.length < 2) return null;
  const values = known.map((version) => version.metrics[metric] as number);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const pad = (high - low || Math.abs(high) || 1) * 0.15;
  const x = (i: number): number => PAD.left + (i / (known.length - 1)) * (width - PAD.left - PAD.right);
  const y = (value: number): number => PAD.top + (1 - (value - low + pad) / (high - low + 2 * pad)) * (HEIGHT - PAD.top - PAD.bottom);
  const every = Math.max(1, Math.ceil(known.length / 20));
  return (
    <Figure
      title="Metric by version"
      note={metric}
      name={`${known[0]?.name}-${metric}`}
      sheet={() => ({
        head: ["version", "registered", metric, "aliases"],
        rows: known.map((version) => [
          version.version,
          dayClock(version.created_us),
          version.metrics[metric] ?? null,
          version.aliases.join(" "),
        ]),
      })}
      actions={
        keys.length > 1 && (
          <select
            className="select select-inline"
            aria-label="Metric"
            value={metric}
            onChange={(event) => setSearch({ metric: event.target.value })}
          >
            {keys.map((key) => (
              <option key={key}>{key}</option>
            ))}
          </select>
        )
      }
    >
      <div ref={box}>
        <svg width={width} height={HEIGHT} className="trend">
          {[low, high].map((value) => (
            <g key={value}>
              <path d={`M${PAD.left} ${y(value)}H${width - PAD.right}`} stroke="var(--line)" />
              <text x={PAD.left - 8} y={y(value) + 4} textAnchor="end" className="axis-text">
                {number(value)}
              </text>
            </g>
          ))}
          <path
            d={known.map((version, i) => `${i ? "L" : "M"}${x(i)} ${y(version.metrics[metric] as number)}`).join("")}
            fill="none"
            stroke="var(--line-strong)"
            strokeWidth={1.5}
          />
          {known.map((version, i) => (
            <A
              key={version.version}
              href={paths.modelVersion(version.name, version.version)}
              aria-label={`${version.aliases.join(", ")} version ${version.version}, ${metric} ${number(version.metrics[metric])}`}
            >
              <circle
                cx={x(i)}
                cy={y(version.metrics[metric] as number)}
                r={version.aliases.length ? 7 : 5}
                fill={`var(${colorOf(version)})`}
                stroke="var(--bg-panel)"
                strokeWidth={2}
              >
                <title>{`v${version.version}: ${number(version.metrics[metric])}`}</title>
              </circle>
              {version.aliases.length > 0 && (
                <text
                  x={x(i)}
                  y={y(version.metrics[metric] as number) - 13}
                  textAnchor={i === known.length - 1 ? "end" : i === 0 ? "start" : "middle"}
                  className="trend-alias"
                  fill={`var(${colorOf(version)})`}
                >
                  {version.aliases.join(", ")}
                </text>
              )}
            </A>
          ))}
          {known.map((version, i) =>
            i % every === 0 ? (
              <text key={version.version} x={x(i)} y={HEIGHT - 6} textAnchor="middle" className="axis-text">
                v{version.version}
              </text>
            ) : null,
          )}
        </svg>
      </div>
    </Figure>
  );
}
