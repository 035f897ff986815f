"""Parameter importance finds what moves a metric, and says nothing where there is nothing."""

import numpy as np

from trimtab.science.importance import parameter_importance


def _runs(count: int) -> tuple[list[dict[str, str]], np.ndarray]:
    random = np.random.default_rng(3)
    rate = 10 ** random.uniform(-5, -1, count)
    kind = random.choice(["tree", "net", "line"], count)
    noise = random.normal(size=count)
    value = -((np.log10(rate) + 3) ** 2) + 1.5 * (kind == "net") + 0.2 * random.normal(size=count)
    params = [
        {"rate": f"{rate[i]:.3e}", "kind": str(kind[i]), "noise": f"{noise[i]:.3f}", "fixed": "1"}
        for i in range(count)
    ]
    return params, value


def test_what_moves_the_metric_comes_first() -> None:
    params, value = _runs(400)
    found = parameter_importance(params, value.tolist())
    shares = {one["name"]: one["importance"] for one in found["parameters"]}
    assert list(shares) == ["rate", "kind", "noise"]
    assert shares["noise"] < 0.05
    assert abs(sum(shares.values()) - 1) < 0.01
    assert found["explained"] > 0.8
    kinds = {one["name"]: one["kind"] for one in found["parameters"]}
    assert kinds == {"rate": "number", "kind": "category", "noise": "number"}


def test_one_diverged_run_does_not_decide() -> None:
    params, value = _runs(300)
    value[5] = 1e12
    found = parameter_importance(params, value.tolist())
    assert [one["name"] for one in found["parameters"]][:2] == ["rate", "kind"]


def test_noise_is_not_explained() -> None:
    params, _ = _runs(300)
    value = np.random.default_rng(4).normal(size=300)
    assert parameter_importance(params, value.tolist())["explained"] < 0.1


def test_too_few_runs_say_nothing() -> None:
    found = parameter_importance([{"a": "1"}, {"a": "2"}], [1.0, 2.0])
    assert (found["explained"], found["parameters"][0]["importance"]) == (0.0, 0.0)
    assert parameter_importance([], []) == {"explained": 0.0, "parameters": []}
