"""Running a run again: from its commit and changes, with its seeds and data; what differs is shown, what lacks refused."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import trimtab
from tests.sdk.leaving import environment
from trimtab.kernel.errors import Conflict
from trimtab.sdk import capture, code_state, workspace
from trimtab.sdk.client import Client
from trimtab.sdk.environment import Command, Package, requirements
from trimtab.sdk.run_differences import Tolerance, capture_of

TRAINING = """
import random, sys
from pathlib import Path

import trimtab
from model import loss

factor = float(sys.argv[1])
with trimtab.run("again", "original") as run:
    data = trimtab.data.get("numbers")
    run.log_input(trimtab.data.show("numbers"))
    rows = len((data / "rows.txt").read_text().split())
    run.log_params({"factor": factor})
    for step in range(20):
        run.log_metric("loss", loss(step) * factor + random.random(), step=step)
    run.log_metric("rows", rows)
    outside = Path(sys.argv[2])
    run.log_metric("outside", float(outside.read_text()))
    run.log_text(str(random.random()), "made.txt")
print(run.id)
"""


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a commit that does not work, a change that is not committed, and a new file."""
    root = tmp_path / "project"
    (root / "src").mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    (root / "src/train.py").write_text("raise SystemExit('the commit alone does not run')\n")
    (root / "unused.bin").write_bytes(bytes(range(256)))
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    (root / "src/train.py").write_text(TRAINING)
    (root / "src/model.py").write_text("def loss(step):\n    return 1 / (step + 1)\n")
    (root / "unused.bin").write_bytes(bytes(range(255, -1, -1)))
    return root


def command(*arguments: str, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).with_name("trimtab")
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False, cwd=folder)


def test_the_same_comes_out_again(client: Client, server: str, tmp_path: Path, repository: Path) -> None:
    (tmp_path / "rows.txt").write_text("1 2 3")
    first = trimtab.data.add("numbers", tmp_path / "rows.txt", client=client)
    outside = tmp_path / "outside.txt"
    outside.write_text("5")
    done = subprocess.run(
        [sys.executable, "src/train.py", "0.5", str(outside)],
        cwd=repository,
        env=environment(server, tmp_path / "spool"),
        capture_output=True,
        text=True,
        check=True,
    )
    original = done.stdout.strip()
    captured = capture_of(client, original)
    assert captured is not None
    assert captured.code is not None
    assert set(captured.code.files) == {"src/train.py", "src/model.py", "unused.bin"}
    assert captured.command.argv == ("src/train.py", "0.5", str(outside))
    assert any(one.name == "trimtab" for one in captured.environment.packages)

    # the code goes on meanwhile, and so does the data
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "second")
    (repository / "src/model.py").write_text("def loss(step):\n    return 7\n")
    (tmp_path / "rows.txt").write_text("1 2 3 4 5")
    trimtab.data.add("numbers", tmp_path / "rows.txt", client=client)

    made = trimtab.reproduce(original, quiet=True, client=client)
    differing = [
        (one.kind, one.name, one.original, one.again) for one in made.differences if one.same is False
    ]
    assert (made.same, differing, made.exit_code) == (True, [], 0)
    assert {one.name for one in made.differences if one.kind == "metric"} == {"loss", "rows", "outside"}
    again = client.get(f"/runs/{made.again}")
    assert again["tags"]["trimtab.reproduces"] == original
    assert again["datasets"][0]["source"] == first.ref
    edges = client.get("/lineage", ref=f"run:{made.again}", direction="up", depth=1)["edges"]
    assert {"from": f"run:{original}", "to": f"run:{made.again}", "kind": "derived"} in [
        {name: edge[name] for name in ("from", "to", "kind")} for edge in edges
    ]

    outside.write_text("6")
    place = tmp_path / "place"
    shown = command("runs", "reproduce", original[:12], "--dir", str(place), "--json", folder=repository)
    assert shown.returncode == 1, shown.stderr
    answer = json.loads(shown.stdout)
    assert [
        (one["name"], one["original"], one["again"]) for one in answer["differences"] if one["same"] is False
    ] == [("outside", 5.0, 6.0)]
    assert (place / "code/src/model.py").read_text().endswith("(step + 1)\n")
    table = command("runs", "reproduce", original, "--rtol", "0.5", folder=repository)
    assert (table.returncode, "The new run is" in table.stdout) == (0, True), table.stderr


def test_code_without_a_repository(client: Client, server: str, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone/part.py").write_text("VALUE = 3\n")
    script = tmp_path / "alone/train.py"
    script.write_text(
        "import trimtab, part\nwith trimtab.run('again') as run: run.log_metric('m', part.VALUE)\nprint(run.id)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=environment(server, tmp_path / "spool"),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    original = done.stdout.strip()
    script.write_text("raise SystemExit(1)\n")
    (tmp_path / "alone/part.py").write_text("VALUE = 4\n")
    made = trimtab.reproduce(original, quiet=True, client=client)
    assert made.same
    assert any("was not captured" in one for one in made.notes)


def test_what_was_not_captured_is_refused(client: Client, repository: Path) -> None:
    with trimtab.run("again", capture=False) as run:
        run.log_metric("m", 1.0)
    with pytest.raises(Conflict, match="nothing was captured"):
        trimtab.reproduce(run.id, client=client)
    whole = Command("script", ("train.py",), (), "/x")
    found = capture.Capture(
        ordinal=0, session="", at_us=0, command=Command("notebook", (), (), "/x", whole=False), environment=_plain(),
        seeds={}, hardware={}, code=None,
    )  # fmt: skip
    said = " ".join(capture.what_is_missing(found))
    for word in ("notebook", "secret", "no git repository"):
        assert word in said
    state = code_state.read(repository)
    assert state is not None
    kept = capture.Capture(
        ordinal=0,
        session="",
        at_us=0,
        command=whole,
        environment=_plain(),
        seeds={},
        hardware={},
        code=state[0],
    )
    assert capture.what_is_missing(kept) == []
    assert capture.decode(__import__("msgspec").json.encode(kept)) == kept


def test_secrets_are_left_out(repository: Path) -> None:
    (repository / ".env").write_text("PASSWORD=x")
    (repository / "id_rsa").write_text("x")
    (repository / "settings.py").write_text('KEY = "AKIA' + "A" * 16 + '"\n')
    (repository / "url.py").write_text('DB = "postgresql://me:secret123@host/db"\n')
    (repository / "big.csv").write_text("x" * (600 << 10))
    (repository / "tokenizer.json").write_text("{}")
    (repository / ".gitignore").write_text("ignored/\n")
    (repository / "ignored").mkdir()
    (repository / "ignored/x.txt").write_text("x")
    git(repository, "remote", "add", "origin", "https://me:secret@example.org/x.git")
    found = code_state.read(repository / "src")
    assert found is not None
    state, patch = found
    assert {one.path for one in state.left_out} == {".env", "id_rsa", "settings.py", "url.py", "big.csv"}
    assert "tokenizer.json" in state.files
    assert "ignored/x.txt" not in state.files
    assert b"AKIA" not in patch
    assert b"secret" not in patch
    assert state.remote == "https://example.org/x.git"
    assert git(repository, "diff", "--cached") == ""  # the index is as it was


def test_the_command_is_kept_without_secrets(tmp_path: Path) -> None:
    code = "import msgspec; from trimtab.sdk.environment import command; print(msgspec.json.encode(command()).decode())"
    script = tmp_path / "show.py"
    script.write_text(code)

    def kept(*arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        return json.loads(done.stdout)

    plain = kept("-X", "utf8", "-B", "show.py", "--lr", "0.1")
    assert (plain["kind"], plain["argv"], plain["options"]) == (
        "script",
        ["show.py", "--lr", "0.1"],
        ["-X", "utf8", "-B"],
    )
    secret = kept(
        "show.py", "--api-key=abc", "--password", "hunter2", "--lr=1", "postgresql://me:pw123@host/db"
    )
    assert secret["argv"] == [
        "show.py", "--api-key=***", "--password", "***", "--lr=1", "postgresql://host/db",
    ]  # fmt: skip
    assert secret["whole"] is False
    assert (kept("-c", code)["kind"], kept("-m", "show")["kind"]) == ("code", "module")


def test_how_the_command_moves(tmp_path: Path, repository: Path) -> None:
    state = code_state.read(repository)
    assert state is not None
    argv = ("../src/train.py", f"--data={repository}", str(repository / "src"), "/elsewhere")
    found = capture.Capture(
        ordinal=0, session="", at_us=0, command=Command("script", argv, ("-O",), str(repository / "work")),
        environment=_plain(), seeds={}, hardware={}, code=state[0],
    )  # fmt: skip
    moved = workspace.arguments(found, tmp_path / "copy", Path("/env/bin/python"))
    assert moved == [
        "/env/bin/python", "-O", str(tmp_path / "copy/src/train.py"), f"--data={repository}",
        str(tmp_path / "copy/src"), "/elsewhere",
    ]  # fmt: skip


def test_locks_and_tolerances() -> None:
    kept = (
        Package("a", "1.0"),
        Package("b", "2", "git+https://example.org/b@abc"),
        Package("c", "3", "/src/c", editable=True),
    )
    assert requirements(kept) == "a==1.0\nb @ git+https://example.org/b@abc\n-e /src/c\n"
    assert Tolerance(1e-3).holds(100.0, 100.05)
    assert not Tolerance(1e-3).holds(100.0, 100.2)
    assert Tolerance(0.0, 0.1).holds(0.0, 0.05)
    assert Tolerance().holds(None, None)
    assert not Tolerance().holds(None, 1.0)


def _plain() -> Any:
    from trimtab.sdk.environment import read

    assert os.environ
    return read()
