"""Steps and pipelines as ordinary functions, the graph that they record, and the parameters they take."""

import enum
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pytest

import trimtab
from trimtab.kernel.errors import Invalid
from trimtab.sdk.bundles import collect, pack, unpack
from trimtab.sdk.graph import Output, record
from trimtab.sdk.parameters import bind, check, parameters_of
from trimtab.sdk.pipelines import Current, current, note_input, note_output, pipeline, set_current, step


@step
def load(n: int, *, scale: int = 1) -> list[int]:
    return [value * scale for value in range(n)]


@step
def split(values: list[int]) -> tuple[list[int], list[int]]:
    return values[::2], values[1::2]


@step(retries=2, timeout_s=5, version=3, resources={"cpus": 2})
def total(values: list[int]) -> int:
    return sum(values)


@step
def square(value: int, power: int = 2) -> int:
    return value**power


@step
def join(parts: Any, note: str = "") -> Any:
    return parts


@pipeline
def sums(n: int = 4, scale: int = 1) -> dict[str, int]:
    """Adds what is even and what is odd."""
    even, odd = split(load(n, scale=scale))
    return {"even": total(values=even), "odd": total(values=odd)}


def test_steps_and_pipelines_run_as_functions() -> None:
    assert load(3, scale=2) == [0, 2, 4]
    assert square.map([1, 2, 3], power=3) == [1, 8, 27]
    assert sums(5) == {"even": 6, "odd": 4}
    assert load.__name__ == "load"
    assert trimtab.step is step
    assert trimtab.pipeline is pipeline


def test_a_pipeline_records_its_graph() -> None:
    graph = sums.build({"n": "6"})
    assert [(node.name, node.needs) for node in graph.nodes] == [
        ("load", []),
        ("split", ["load"]),
        ("total", ["split"]),
        ("total-2", ["split"]),
    ]
    assert graph.nodes[0].arguments == {"n": 6, "scale": 1}
    assert graph.result["odd"].node is graph.nodes[3]
    assert graph.nodes[3].arguments["values"].path == (1,)


def test_options_are_kept_and_changed() -> None:
    assert (
        total.settings.retries,
        total.settings.timeout_s,
        total.settings.version,
        total.settings.cpus,
    ) == (2, 5, "3", 2)
    changed = total.options(name="sum", retries=0, resources={"cpus": 1})
    assert (changed.name, changed.settings.retries, changed.settings.cpus, changed.settings.timeout_s) == (
        "sum",
        0,
        1,
        5,
    )
    with record() as graph:
        changed(values=[1])
    assert graph.nodes[0].name == "sum"


def test_results_within_containers_are_found() -> None:
    with record() as graph:
        first, second = load(1), load(2)
        join({"a": [first, (second[0], 5)]})
        join(parts=square.map([first[0], 2]))
    assert graph.nodes[2].needs == ["load", "load-2"]
    assert graph.nodes[5].needs == ["square", "square-2"]


def test_pipelines_within_pipelines_become_one_graph() -> None:
    @pipeline
    def outer() -> Any:
        return join(sums(3))

    assert [node.name for node in outer.build().nodes] == ["load", "split", "total", "total-2", "join"]


@pytest.mark.parametrize(
    "use",
    [bool, len, int, str, float, lambda x: f"{x}", lambda x: x + 1, lambda x: x == 1, lambda x: x.shape, list, lambda x: x(),
     lambda x: 1 in x, lambda x: x < 2, lambda x: x[1.5], square.map],
)  # fmt: skip
def test_a_future_result_says_what_cannot_be_done_with_it(use: Any) -> None:
    with record(), pytest.raises(Invalid, match="load"):
        use(load(2))


def test_a_result_of_another_graph_is_refused() -> None:
    with record():
        stray = load(2)
    with record(), pytest.raises(Invalid, match="another pipeline run"):
        total(stray)


def test_wrong_calls_are_named() -> None:
    with record():
        with pytest.raises(Invalid, match=r"no parameter 'valuess'. Did you mean 'values'"):
            total(valuess=[1])  # type: ignore[call-arg]
        with pytest.raises(Invalid, match="missing a required argument: 'n'"):
            load()  # type: ignore[call-arg]
    with pytest.raises(Invalid, match=r"Unknown option 'retrys'.*Did you mean 'retries'"):
        total.options(retrys=1)
    with pytest.raises(Invalid, match="Unknown option 'cpu'"):
        step(resources={"cpu": 1})
    for wrong in ({"retries": -1}, {"timeout_s": 0}, {"retry_delay_s": -1}, {"resources": {"cpus": 0}}):
        with pytest.raises(Invalid):
            step(**wrong)
    with pytest.raises(Invalid, match="no name for a step"):
        step(name="a/b")(lambda: None)
    with pytest.raises(Invalid, match="top of a module"):
        step(name="a")(lambda: None).target  # noqa: B018 - the property raises


TAGS = ["t"]


class Colour(enum.Enum):
    RED = "red"


def test_parameters_come_from_the_signature() -> None:
    def function(
        n: int, rate: float = 0.5, day: date | None = None, where: Path = Path("x"), mode: Literal["a", "b"] = "a",
        tags: list[str] = TAGS, colour: Colour = Colour.RED, guess=3, free=None,
    ) -> None: ...  # fmt: skip

    kinds = {p.name: (p.kind, p.required, p.nullable, p.default) for p in parameters_of(function)}
    assert kinds == {
        "n": ("integer", True, False, None),
        "rate": ("number", False, False, 0.5),
        "day": ("date", False, True, None),
        "where": ("path", False, False, "x"),
        "mode": ("choice", False, False, "a"),
        "tags": ("json", False, False, ["t"]),
        "colour": ("choice", False, False, "red"),
        "guess": ("integer", False, False, 3),
        "free": ("json", False, True, None),
    }
    bound = bind(
        function,
        {"n": "7", "day": "2013-03-01", "tags": '["u"]', "where": "/tmp", "colour": "red", "free": "text"},
    )
    assert bound == {
        "n": 7, "rate": 0.5, "day": date(2013, 3, 1), "where": Path("/tmp"), "mode": "a", "tags": ["u"],
        "colour": Colour.RED, "guess": 3, "free": "text",
    }  # fmt: skip
    assert bind(function, {"n": 1, "day": "null"})["day"] is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "needs the parameter 'n' \\(a whole number\\)"),
        ({"n": "x"}, "'n' must be a whole number, not 'x'"),
        ({"n": 1.5}, "'n' must be a whole number"),
        ({"n": True}, "'n' must be a whole number"),
        ({"n": None}, "'n' must be a whole number"),
        ({"n": 1, "rate": "nan"}, "finite"),
        ({"n": 1, "rat": 1}, "Did you mean 'rate'"),
        ({"n": 1, "mode": "c"}, "one of a, b"),
        ({"n": 1, "flag": "maybe"}, "true or false"),
        ({"n": 1, "text": 5}, "must be text"),
    ],
)
def test_wrong_parameters_are_named(given: dict[str, Any], says: str) -> None:
    def function(
        n: int, rate: float = 1.0, mode: Literal["a", "b"] = "a", flag: bool = False, text: str = ""
    ) -> None: ...

    for refuse in (lambda: check(parameters_of(function), given), lambda: bind(function, given)):
        with pytest.raises(Invalid, match=says) as caught:
            refuse()
        assert caught.value.field is not None
        assert caught.value.field.startswith("params.")


def test_a_pipeline_takes_named_parameters_only() -> None:
    with pytest.raises(Invalid, match="named parameters"):
        pipeline(name="p")(lambda *rest: None).parameters  # noqa: B018 - the property raises


def test_a_step_knows_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert current() is None
    note_input("data:flights@1")
    monkeypatch.setenv("TRIMTAB_PIPELINE_RUN", "pr_child")
    assert current().run_id == "pr_child"  # type: ignore[union-attr]
    set_current(Current(run_id="pr_1", pipeline="p", step="s", attempt=2))
    try:
        note_input("data:flights@1")
        note_output("model:delay/4")
        running = current()
        assert running is not None
        assert (running.ref, running.tags["trimtab.pipeline_run"]) == ("pipeline-run:pr_1", "pr_1")
        assert (list(running.inputs), list(running.outputs)) == (["data:flights@1"], ["model:delay/4"])
        with pytest.raises(ValueError, match="not a reference"):
            note_output("nonsense")
    finally:
        set_current(None)
    assert current() is None


def test_a_bundle_holds_what_the_file_imports(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import helper\nfrom pack import inner\nimport numpy\ndef f():\n    from . import late\n    import deep.er\n"
    )
    (tmp_path / "helper.py").write_text("import other")
    (tmp_path / "other.py").write_text("import helper")
    (tmp_path / "unused.py").write_text("")
    (tmp_path / "late.py").write_text("")
    for folder in ("pack", "deep"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("")
    (tmp_path / "pack" / "inner.py").write_text("from . import sibling\nfrom ..helper import x")
    (tmp_path / "pack" / "sibling.py").write_text("")
    (tmp_path / "deep" / "er.py").write_text("")
    files = collect(tmp_path / "main.py")
    assert sorted(files) == [
        "deep/__init__.py", "deep/er.py", "helper.py", "late.py", "main.py", "other.py", "pack/__init__.py", "pack/inner.py", "pack/sibling.py",
    ]  # fmt: skip
    assert unpack(pack(files)) == files
    assert pack(files) == pack(dict(reversed(files.items())))


@pytest.mark.parametrize("name", ["json.py", "trimtab.py", "two words.py", "text.txt"])
def test_files_that_cannot_be_imported_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(Invalid):
        collect(tmp_path / name)


def test_outputs_hash_by_identity() -> None:
    with record():
        output = load(1)
        assert isinstance(output, Output)
        assert len({output, output[0]}) == 2
        assert "load" in repr(output)


def test_a_pipeline_without_a_file_cannot_be_submitted() -> None:
    scope: dict[str, Any] = {"pipeline": pipeline}
    exec("@pipeline\ndef typed(): pass", scope)
    with pytest.raises(Invalid, match="must be defined in a file"):
        scope["typed"].submit()
