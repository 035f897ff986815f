"""A step's digest changes with what it does, and with nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trimtab.domains.pipelines.code import Sources
from trimtab.kernel.errors import Invalid

MAIN = '''"""A module."""
import helper
from deep.inner import tool
import pandas as pd
from trimtab import step

LIMIT = 3
OTHER = 4


def clean(x):
    """Says what it does."""
    return x + LIMIT


class Holder:
    size = OTHER


@step(retries=2)
def first(x: int) -> int:
    """Promise."""
    # a comment
    return clean(helper.twice(x))


@step
def second(x: "Holder"):
    return x


@step
def third(x):
    from deep import inner
    return pd.DataFrame(x)


if __name__ == "__main__":
    print(first(1))
'''
HELPER = "import further\ndef twice(x): return 2 * x\n"

Digest = Callable[..., str]


@pytest.fixture
def digest(tmp_path: Path) -> Digest:
    (tmp_path / "deep").mkdir()

    def compute(
        function: str,
        *changes: tuple[str, str],
        helper: str = HELPER,
        further: str = "x = 1",
        inner: str = "tool = 1",
    ) -> str:
        text = MAIN
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "main.py").write_text(text)
        (tmp_path / "helper.py").write_text(helper)
        (tmp_path / "further.py").write_text(further)
        (tmp_path / "deep" / "__init__.py").write_text("")
        (tmp_path / "deep" / "inner.py").write_text(inner)
        return Sources(tmp_path).digest(f"main:{function}")

    return compute


@pytest.mark.parametrize(
    "change",
    [
        ("# a comment", "# another"),
        ('"""Promise."""', '"""Another promise."""'),
        ('"""Says what it does."""', ""),
        ("retries=2", "retries=5"),
        ("@step(retries=2)", "@step"),
        ("clean(helper.twice(x))", "clean(\n        helper.twice(x),\n    )"),
        ("OTHER = 4", "OTHER = 5"),
        ("print(first(1))", "print(first(2))"),
        ("return pd.DataFrame(x)", "return x"),
    ],
)
def test_what_a_step_does_not_use_does_not_count(digest: Digest, change: tuple[str, str]) -> None:
    assert digest("first", change) == digest("first")


@pytest.mark.parametrize(
    "change",
    [
        ("return clean(", "return -clean("),
        ("x + LIMIT", "x - LIMIT"),
        ("LIMIT = 3", "LIMIT = 4"),
        ("x: int) -> int:", "x: int = 5) -> int:"),
        ("@step(retries=2)", "@clean\n@step(retries=2)"),
        ("import helper", "import deep.inner as helper"),
        ("LIMIT = 3", "pd.options.mode = 1\nLIMIT = 3"),
    ],
)
def test_what_a_step_uses_counts(digest: Digest, change: tuple[str, str]) -> None:
    assert digest("first", change) != digest("first")


def test_modules_of_the_folder_count_for_those_who_use_them(digest: Digest) -> None:
    assert digest("first", helper=HELPER.replace("2 *", "3 *")) != digest("first")
    assert digest("first", helper=HELPER + "# note\n") == digest("first")
    assert digest("first", further="x = 2") != digest("first")
    assert digest("first", inner="tool = 2") == digest("first")
    assert digest("second", further="x = 2") == digest("second")
    assert digest("third", inner="tool = 2") != digest("third")


def test_names_in_quotes_count(digest: Digest) -> None:
    assert digest("second", ("OTHER = 4", "OTHER = 5")) != digest("second")


def test_star_imports_count_for_everyone(digest: Digest) -> None:
    star = ("import helper\n", "from helper import *\nimport helper\n")
    assert digest("second", star) != digest("second", star, helper="x = 5")


def test_functions_that_are_not_there_are_named(digest: Digest) -> None:
    with pytest.raises(Invalid, match="no function 'fourth'"):
        digest("fourth")


def test_steps_of_libraries_have_a_digest(tmp_path: Path) -> None:
    assert Sources(tmp_path).digest("library:step") != Sources(tmp_path).digest("library:other")
