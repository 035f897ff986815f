// How far a batch prediction is: a bar of rows with the count beside it.
import type { BatchPrediction } from "../../api/types.ts";
import { count, percent } from "../../format/number.ts";
import "./batch.css";

export function RowsBar({ batch, wide = false }: { batch: BatchPrediction; wide?: boolean }) {
  const { rows_done: done, rows_total: total } = batch;
  const share = batch.state === "succeeded" ? 1 : total ? Math.min(1, done / total) : 0;
  const text = total ? `${count(done)} of ${count(total)} rows` : `${count(done)} rows`;
  return (
    <span className={`rows-bar ${wide ? "rows-bar-wide" : ""}`}>
      <span
        className={`rows-track rows-${batch.state}`}
        role="progressbar"
        aria-label="Rows predicted"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(share * 100)}
        aria-valuetext={text}
      >
        <span style={{ width: `${share * 100}%` }} />
      </span>
      <span className="dim nowrap" title={text}>
        {wide ? `${text}${total ? `, ${percent(share)}` : ""}` : count(done)}
      </span>
    </span>
  );
}
