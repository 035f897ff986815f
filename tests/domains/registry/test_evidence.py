"""Metrics with intervals, scans of registered versions, environments with rules, and versions side by side."""

import math
import pickle

import pytest

from tests.background import work_off
from tests.domains.registry.conftest import SAFE, Tracked
from trimtab.app import App
from trimtab.domains.govern.errors import NotPermitted
from trimtab.domains.registry import RegistryService
from trimtab.domains.registry.errors import EnvironmentRule, ModelVersionNotFound
from trimtab.domains.registry.evidence.service import EvaluationRows
from trimtab.domains.registry.model import GateCheck, MetricEstimate, ModelEnvironment
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal

PICKLED = {
    "MLmodel": SAFE["MLmodel"].replace(b"skops", b"pkl"),
    "model.pkl": pickle.dumps([1.0]),
}
EVIL = {**PICKLED, "model.pkl": b"cos\nsystem\n(S'true'\ntR."}
APPROVER = Principal("token:a", "approver", "approver")


def _version(registry: RegistryService, tracked: Tracked, who: Principal, files=SAFE, run=None) -> int:
    source = f"models:/{tracked.model(files, run)}"
    return registry.create_version(who, "m", source=source, create_model=True).version


def test_estimates_are_kept_with_their_intervals(
    app: App, registry: RegistryService, tracked: Tracked, editor: Principal, viewer: Principal
) -> None:
    _version(registry, tracked, editor)
    given = [
        MetricEstimate("auc", 0.8, 0.75, 0.85, method="delong", rows=1000, data="data:flights@2"),
        MetricEstimate("cost", 3.5),
    ]
    kept = registry.record_estimates(editor, "m", 1, given)
    assert [(one.key, one.estimate, one.low, one.high, one.rows) for one in kept] == [
        ("auc", 0.8, 0.75, 0.85, 1000),
        ("cost", 3.5, None, None, None),
    ]
    assert {one.actor for one in kept} == {editor.id}
    again = registry.record_estimates(
        editor, "m", 1, [MetricEstimate("auc", 0.9, 0.8, 0.95, data="data:flights@2")]
    )
    assert [one.estimate for one in again] == [0.9, 3.5]
    assert registry.estimates(viewer, "m", 1) == again
    assert "data:flights@2" in {
        edge.source for edge in app.lineage.graph(viewer, "model:m/1", direction="up").edges
    }
    assert app.govern.audit_trail(viewer).items[0].action == "registry.version.measure"
    with pytest.raises(NotPermitted):
        registry.record_estimates(viewer, "m", 1, given)
    with pytest.raises(ModelVersionNotFound):
        registry.record_estimates(editor, "m", 2, given)
    registry.rename_model(editor, "m", new_name="n")
    assert registry.estimates(viewer, "n", 1) == again
    registry.delete_version(editor, "n", 1)


@pytest.mark.parametrize(
    "bad",
    [
        [],
        [MetricEstimate("", 1.0)],
        [MetricEstimate("a", math.nan)],
        [MetricEstimate("a", 1.0, 0.5)],
        [MetricEstimate("a", 1.0, 2.0, 3.0)],
        [MetricEstimate("a", 1.0, -math.inf, 3.0)],
        [MetricEstimate("a", 1.0, level=1.0)],
        [MetricEstimate("a", 1.0, rows=0)],
        [MetricEstimate("a", 1.0, method="x" * 101)],
        [MetricEstimate("a\n", 1.0)],
    ],
)
def test_estimates_that_mean_nothing_are_refused(
    registry: RegistryService, tracked: Tracked, editor: Principal, bad: list[MetricEstimate]
) -> None:
    _version(registry, tracked, editor)
    with pytest.raises(Invalid):
        registry.record_estimates(editor, "m", 1, bad)
    assert registry.estimates(editor, "m", 1) == []


def test_an_evaluation_is_computed_from_rows(
    app: App, registry: RegistryService, tracked: Tracked, editor: Principal
) -> None:
    _version(registry, tracked, editor)
    truth = [float(n % 2) for n in range(200)]
    chances = [0.3 + 0.4 * (n % 2) + 0.001 * (n % 7) for n in range(200)]
    registry.evaluate(editor, "m", 1, EvaluationRows("classification", truth, chances, "data:d@1"))
    registry.evaluate(editor, "m", 1, EvaluationRows("regression", truth, chances))
    work_off(app, "heavy")
    found = {one.key: one for one in registry.estimates(editor, "m", 1)}
    auc, accuracy = found["roc_auc"], found["accuracy"]
    assert (auc.estimate, auc.method, auc.rows, auc.data) == (1.0, "delong", 200, "data:d@1")
    assert accuracy.low is not None
    assert accuracy.low < accuracy.estimate == 1.0
    assert {"mae", "rmse"} & set(found)
    for task, wrong in (("classification", [2.0]), ("classification", []), ("regression", [1.0, 2.0])):
        with pytest.raises(Invalid):
            registry.evaluate(editor, "m", 1, EvaluationRows(task, wrong, [0.5]))


def test_a_version_carries_its_verdict_and_can_be_judged_anew(
    app: App, registry: RegistryService, tracked: Tracked, editor: Principal, viewer: Principal
) -> None:
    for files, verdict in ((PICKLED, "allowed"), (EVIL, "suspicious"), ({"a.txt": b"x"}, "unknown")):
        number = _version(registry, tracked, editor, files)
        made = registry.get_version(viewer, "m", number)
        assert (made.verdict, made.safe) == (verdict, False)
        assert registry.scan(viewer, "m", number).verdict == verdict
    assert registry.get_version(viewer, "m", 2).strangers == ["os.system"]
    copied = registry.create_version(editor, "m", source="models:/m/2")
    assert copied.verdict == "suspicious"
    app.registry._trust._prefixes = ("os.",)  # as if the server allowed it from now on
    registry.rescan(editor, "m", 2)
    work_off(app, "heavy")
    assert registry.get_version(viewer, "m", 2).verdict == "allowed"
    assert "registry.version.scan" in {one.action for one in app.govern.audit_trail(viewer).items}
    with pytest.raises(NotPermitted):
        registry.rescan(viewer, "m", 1)


def test_environments_let_in_what_their_rules_say(
    app: App,
    registry: RegistryService,
    tracked: Tracked,
    owner: Principal,
    editor: Principal,
    viewer: Principal,
) -> None:
    _version(registry, tracked, editor)
    _version(registry, tracked, editor, PICKLED)
    rules = [
        ModelEnvironment("dev"),
        ModelEnvironment("staging", role="editor", after="dev", verdicts=["safe"]),
        ModelEnvironment("production", role="approver", after="staging", needs_gate=True),
    ]
    with pytest.raises(NotPermitted):
        registry.set_environments(editor, "m", rules)
    registry.set_environments(owner, "m", rules, reason="as agreed")
    with pytest.raises(EnvironmentRule, match="never in dev"):
        registry.set_alias(editor, "m", "staging", 1)
    registry.set_alias(editor, "m", "dev", 2, reason="try")
    with pytest.raises(EnvironmentRule, match="allowed; staging takes only what is safe"):
        registry.set_alias(editor, "m", "staging", 2)
    registry.set_alias(editor, "m", "dev", 1)
    registry.set_alias(editor, "m", "staging", 1)
    with pytest.raises(NotPermitted):
        registry.set_alias(editor, "m", "production", 1)
    with pytest.raises(EnvironmentRule, match="gate"):
        registry.set_alias(APPROVER, "m", "production", 1)
    gate = registry.record_gate(
        editor, "m", 1, champion=None, verdict="passed", checks=[GateCheck("auc", True)]
    )
    registry.set_alias(APPROVER, "m", "production", 1, reason="good", evidence={"gate": gate.id})
    with pytest.raises(NotPermitted):
        registry.delete_alias(editor, "m", "production")
    seen = registry.environments(viewer, "m")
    assert [(one.environment.name, one.version, one.by, one.reason) for one in seen] == [
        ("dev", 1, editor.id, ""),
        ("staging", 1, editor.id, ""),
        ("production", 1, APPROVER.id, "good"),
    ]
    registry.set_alias(editor, "m", "anything", 2)
    registry.delete_alias(owner, "m", "production", reason="stop")
    assert registry.environments(viewer, "m")[2].version is None
    registry.rename_model(owner, "m", new_name="n")
    assert [one.environment for one in registry.environments(viewer, "n")] == rules


@pytest.mark.parametrize(
    "bad",
    [
        [ModelEnvironment("latest")],
        [ModelEnvironment("a b")],
        [ModelEnvironment("a"), ModelEnvironment("a")],
        [ModelEnvironment("a", after="b"), ModelEnvironment("b")],
        [ModelEnvironment("a", role="viewer")],
        [ModelEnvironment("a", verdicts=["fine"])],
        [ModelEnvironment(f"e{n}") for n in range(21)],
    ],
)
def test_environments_that_mean_nothing_are_refused(
    registry: RegistryService, owner: Principal, bad: list[ModelEnvironment]
) -> None:
    registry.create_model(owner, "m")
    with pytest.raises(Invalid):
        registry.set_environments(owner, "m", bad)
    assert registry.environments(owner, "m") == []


def test_versions_stand_side_by_side(
    app: App, registry: RegistryService, tracked: Tracked, editor: Principal, viewer: Principal
) -> None:
    run = tracked.run(auc=0.7, loss=0.5)
    app.tracking.runs.log(editor, run, params=[("depth", "3"), ("seed", "1")])
    other = tracked.run(auc=0.8)
    app.tracking.runs.log(editor, other, params=[("depth", "5"), ("seed", "1")])
    first = {**SAFE, "requirements.txt": b"scikit-learn==1.6.0\nnumpy\n# note\n"}
    second = {
        **SAFE,
        "MLmodel": SAFE["MLmodel"].replace(b'"name": "a"', b'"name": "b"'),
        "requirements.txt": b"scikit-learn==1.7.0\nnumpy\n",
        "python_env.yaml": b"python: 3.11.9\n",
    }
    _version(registry, tracked, editor, first, run)
    _version(registry, tracked, editor, second, other)
    registry.record_estimates(editor, "m", 2, [MetricEstimate("auc", 0.81, 0.78, 0.84, method="delong")])
    registry.record_gate(editor, "m", 2, champion=1, verdict="failed", checks=[GateCheck("auc", False)])
    found = registry.compare(viewer, "m", [2, 1])
    assert [one.version for one in found.versions] == [2, 1]
    params = {row.key: (row.values, row.differs) for row in found.params}
    assert params == {"depth": (["5", "3"], True), "seed": (["1", "1"], False)}
    metrics = {row.key: row for row in found.metrics}
    assert [(one.estimate, one.low) for one in metrics["auc"].values] == [(0.81, 0.78), (0.7, None)]
    assert metrics["loss"].values[0] is None
    assert {row.key: row.values for row in found.signature if row.differs} == {
        "input a": [None, "double"],
        "input b": ["double", None],
    }
    packages = {row.key: row.values for row in found.environment}
    assert packages == {
        "numpy": ["any", "any"], "python": ["3.11.9", None], "scikit-learn": ["1.7.0", "1.6.0"],
    }  # fmt: skip
    assert [gate.verdict if gate else None for gate in found.gates] == ["failed", None]
    assert {row.key for row in found.facts if not row.differs} >= {"flavor", "format", "verdict", "stage"}
    with pytest.raises(ModelVersionNotFound):
        registry.compare(viewer, "m", [1, 3])
    for bad in ([], [1, 1], [*range(1, 22)]):
        with pytest.raises(Invalid):
            registry.compare(viewer, "m", bad)


def test_changes_of_tags_are_recorded(
    app: App, registry: RegistryService, tracked: Tracked, editor: Principal
) -> None:
    _version(registry, tracked, editor)
    registry.set_model_tag(editor, "m", key="team", value="a")
    registry.set_version_tag(editor, "m", 1, key="k", value="x" * 300)
    registry.set_version_tag(editor, "m", 1, key="k", value="x" * 300)
    registry.delete_version_tag(editor, "m", 1, key="k")
    registry.delete_model_tag(editor, "m", key="none")
    trail = [one for one in app.govern.audit_trail(editor).items if one.action.startswith("registry.tag")]
    assert [(one.action, one.subject) for one in trail] == [
        ("registry.tag.delete", "model:m/1"),
        ("registry.tag.set", "model:m/1"),
        ("registry.tag.set", "model:m"),
    ]
    assert trail[1].detail["to"] == "x" * 200 + "..."
