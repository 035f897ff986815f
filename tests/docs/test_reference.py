"""The committed reference is the one that the code gives, and nothing of the public surface is missing from it."""

import sys
from pathlib import Path

import pytest

from trimtab.kernel.errors import TrimtabError
from trimtab.kernel.events import Event
from trimtab.settings import ENVIRONMENT_PREFIX, EXPLANATIONS, Settings

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import reference  # noqa: E402


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return reference.pages()


def test_committed_reference_is_the_generated_one(pages: dict[str, str]) -> None:
    stale = [name for name, text in pages.items() if (reference.FOLDER / name).read_text() != text]
    assert not stale, "run 'make docs'"


def test_every_setting_is_explained(pages: dict[str, str]) -> None:
    for key in Settings.__struct_fields__:
        assert EXPLANATIONS[key] in pages["settings.md"]
        assert f"{ENVIRONMENT_PREFIX}{key.upper()}" in pages["settings.md"]


def test_every_command_says_what_it_does(pages: dict[str, str]) -> None:
    found = dict(reference.commands())
    assert len(found) > 50
    for path, command in found.items():
        assert f"## `{path}`\n" in pages["cli.md"]
        assert command.help, f"{path} has no help"


def test_every_route_has_a_summary(pages: dict[str, str]) -> None:
    for line in pages["http.md"].splitlines():
        if line.startswith("| ") and "`/" in line:
            assert line.split(" | ")[2].rstrip(" |"), line


def test_every_event_and_error_is_listed(pages: dict[str, str]) -> None:
    for event in reference.descendants(Event):
        assert f"## `{event.kind()}`" in pages["events.md"]
    for error in reference.descendants(TrimtabError):
        assert f"| `{error.code}` |" in pages["errors.md"]
