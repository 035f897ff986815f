"""A collection that is killed at any moment leaves no row without its bytes, and the next one ends what it began."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trimtab.app import App, build
from trimtab.kernel.who import Principal
from trimtab.loop.model import Collected, Collection
from trimtab.settings import Settings
from trimtab.testing.blobs import name_of

CHILD = """
import os, signal, sys
from trimtab.app import build
from trimtab.loop.model import Collected, Collection
from trimtab.settings import Settings

home, where, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
app = build(Settings(home=home))
left = [count]

def counted(call):
    def run(*given, **named):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*given, **named)
    return run

if where == "rows":
    app.db.write = counted(app.db.write)
else:
    os.unlink = counted(os.unlink)
app.collector.collect(Collection("gc_x", False, 0, False, "", 0, None, "test", None, Collected()))
"""
OWNER = Principal(id="owner", name="owner", role="admin")
RUNS = 110  # more than go in one transaction


def _check(app: App) -> None:
    """Every file that can be seen can be read."""
    for artifact in app.tracking.artifacts.files(OWNER, "0") + app.tracking.artifacts.files(OWNER, "1"):
        with app.tracking.artifacts.open(OWNER, artifact.path) as file:
            assert len(file.read()) == artifact.size_bytes


@pytest.mark.parametrize(("where", "count"), [("rows", 1), ("rows", 3), ("blobs", 1), ("blobs", 60)])
def test_killed_in_the_middle(tmp_path: Path, where: str, count: int) -> None:
    home = tmp_path / "home"
    app = build(Settings(home=str(home)))
    app.tracking.artifacts.put(OWNER, "0/kept/artifacts/own", b"own")
    app.tracking.artifacts.put(OWNER, "0/kept/artifacts/shared", b"0")
    experiment = app.tracking.experiments.create(OWNER, name="goes").id
    shared = app.blobs.put(b"0")
    contents = [f"{number}".encode() for number in range(RUNS)]
    own = [name_of(content) for content in contents]
    app.blobs.put_many(zip(own, contents, strict=True))
    for blob in own:
        run_id = app.tracking.runs.create(OWNER, experiment_id=experiment).head.id
        app.tracking.artifacts.put_blob(OWNER, f"{experiment}/{run_id}/artifacts/a", blob)
        app.tracking.artifacts.put_blob(OWNER, f"{experiment}/{run_id}/artifacts/b", shared)
    app.tracking.experiments.delete(OWNER, experiment)
    for blob in list(app.blobs.ids()):
        path = app.blobs.path(blob)
        assert path is not None
        os.utime(path, (0, time.time() - 3600))
    app.close()

    ended = subprocess.run(
        [sys.executable, "-c", CHILD, str(home), where, str(count)], check=False, timeout=60
    )
    assert ended.returncode == -signal.SIGKILL

    app = build(Settings(home=str(home)))
    _check(app)
    again = Collection("gc_y", False, 0, False, "", 0, None, "test", None, Collected())
    app.collector.collect(again)
    _check(app)
    assert app.tracking.trash.items(OWNER, limit=10) == []
    assert app.tracking.runs.search(OWNER, view="all").items == []
    assert len(list(app.blobs.ids())) == 2, "what is left is what the other run has"
    app.close()
