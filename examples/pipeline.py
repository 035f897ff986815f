"""A pipeline: add data, summarise each group in steps of its own, and put the result together.

    trimtab up                                       # in another terminal
    trimtab pipelines run examples/pipeline.py:wines

Run by itself, ``python examples/pipeline.py`` calls the same functions here, one after the other.
"""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import trimtab


@trimtab.step
def load() -> pa.Table:
    """Return the wines that come with scikit-learn, as a version that the lineage knows."""
    from sklearn.datasets import load_wine

    table = pa.Table.from_pandas(load_wine(as_frame=True).frame, preserve_index=False)
    trimtab.data.add("wines", table, message="as scikit-learn has them")
    return table


@trimtab.step(retries=1)
def mean_alcohol(cultivar: int, table: pa.Table) -> float:
    """Return the mean alcohol of one cultivar."""
    return pc.mean(table.filter(pc.equal(table["target"], cultivar))["alcohol"]).as_py()


@trimtab.step
def strongest(means: list[float]) -> dict[str, Any]:
    """Return the cultivar with most alcohol."""
    cultivar = max(range(len(means)), key=means.__getitem__)
    return {"cultivar": cultivar, "alcohol": round(means[cultivar], 2)}


@trimtab.pipeline
def wines() -> dict[str, Any]:
    table = load()
    means = mean_alcohol.map([0, 1, 2], table=table)
    best = strongest(means=means)
    return {"cultivar": best["cultivar"], "alcohol": best["alcohol"]}


if __name__ == "__main__":
    print(wines())
