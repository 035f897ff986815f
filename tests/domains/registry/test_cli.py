"""The commands against a real server."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import trimtab
from tests.domains.registry.conftest import SAFE
from tests.processes import serving
from trimtab.sdk.client import connect


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("models") / "home") as address, connect(address) as client:
        created = client.post("/api/2.0/mlflow/logged-models", {"experiment_id": "0", "name": "m"})
        model_id = created["model"]["info"]["model_id"]
        for path, content in SAFE.items():
            client.upload(
                f"/api/2.0/mlflow-artifacts/artifacts/0/models/{model_id}/artifacts/{path}", content
            )
        for _ in range(2):
            body = {"source": f"models:/{model_id}", "create_model": True}
            client.post("/models/late%20flights/versions", body)
        yield address


def _run(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    return trimtab("models", *words, "--url", url)


def _json(url: str, *words: str):
    done = _run(url, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_person_works_with_a_model(url: str, tmp_path: Path) -> None:
    assert [item["name"] for item in _json(url, "ls")] == ["late flights"]
    assert _json(url, "ls", "--filter", "name = 'none'") == []
    moved = _run(url, "alias", "late flights", "champion", "1", "--reason", "the first")
    assert moved.stdout == "late flights@champion is version 1\n"
    assert [item["version"] for item in _json(url, "versions", "late flights")] == [2, 1]
    assert _json(url, "show", "late flights@champion")["version"] == 1
    assert _json(url, "show", "late flights")["aliases"] == {"champion": 1}
    shown = _run(url, "show", "models:/late flights/2").stdout
    assert "skops (safe to load)" in shown
    assert "a double" in shown
    assert _run(url, "tag", "late flights/latest", "team=ops", "empty=").returncode == 0
    assert _json(url, "show", "late flights/2")["tags"] == {"team": "ops", "empty": ""}
    assert _run(url, "tag", "late flights/2", "empty", "--remove").returncode == 0
    assert _json(url, "show", "late flights/2")["tags"] == {"team": "ops"}
    history = _json(url, "alias", "late flights")
    assert [(move["alias"], move["version"], move["reason"]) for move in history] == [
        ("champion", 1, "the first")
    ]
    assert "the first" in _run(url, "alias", "late flights").stdout
    compared = _run(url, "compare", "late flights", "champion", "v2", "--all").stdout
    assert "input a" in compared
    assert [one["version"] for one in _json(url, "compare", "late flights", "2", "1")["versions"]] == [2, 1]
    assert _run(url, "scan", "late flights/2").stdout.startswith("safe")
    assert _run(url, "scan", "late flights", "--again").stdout.startswith("job ")
    rules = tmp_path / "rules.json"
    rules.write_text(
        '[{"name": "staging", "verdicts": ["safe"]}, {"name": "production", "after": "staging"}]'
    )
    assert _run(url, "environments", "late flights", "--set", str(rules), "-m", "agreed").returncode == 0
    refused = _run(url, "alias", "late flights", "production", "2")
    assert (refused.returncode, "never in staging" in refused.stderr) == (2, True)
    assert _run(url, "alias", "late flights", "staging", "2", "-m", "try").returncode == 0
    assert "try" in _run(url, "environments", "late flights").stdout
    assert [one["version"] for one in _json(url, "environments", "late flights")] == [2, None]
    assert _run(url, "download", "late flights@champion", str(tmp_path / "m")).returncode == 0
    assert (tmp_path / "m" / "MLmodel").read_bytes() == SAFE["MLmodel"]
    assert _run(url, "alias", "late flights", "champion", "--remove", "-m", "old").returncode == 0
    assert _run(url, "rm", "late flights/1", "--yes").returncode == 0
    assert [item["version"] for item in _json(url, "versions", "late flights")] == [2]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("show", "late flihgts"), 3, "Did you mean 'late flights'"),
        (("show", "late flights/99"), 3, "not found"),
        (("show", "late flights/x"), 2, "not NAME"),
        (("show", "@x"), 2, "not NAME"),
        (("alias", "late flights", "v1", "2"), 2, "reserved"),
        (("alias", "late flights", "champion"), 2, "either"),
        (("tag", "late flights", "novalue"), 2, "KEY=VALUE"),
        (("ls", "--filter", "nme = 'x'"), 2, "Did you mean 'name'"),
        (("rm", "late flights/99", "--yes"), 3, "not found"),
    ],
)
def test_mistakes_end_with_a_sentence_and_a_code(
    url: str, words: tuple[str, ...], code: int, said: str
) -> None:
    done = _run(url, *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_person_has_a_version_compiled(url: str) -> None:
    untried = _run(url, "compile", "late flights/2", "--show")
    assert (untried.returncode, untried.stdout.split(None, 1)[1]) == (1, "nobody tried\n")
    tried = _run(url, "compile", "late flights", "2", "--wait")  # it holds no model
    assert (tried.returncode, "cannot be loaded here" in tried.stdout) == (1, True), tried
    assert _run(url, "compile", "late flights/2", "--show").stdout == tried.stdout
    assert "cannot be loaded here" in _run(url, "show", "late flights/2").stdout
    assert _run(url, "compile", "late flights", "9").returncode == 3
