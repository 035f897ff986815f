"""The Python in which a version is loaded: the server's own, or an environment that is really made, without a network."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.background import work_off
from tests.domains.registry.conftest import Tracked
from tests.wheels import Index
from trimtab.app import App
from trimtab.domains.registry.runtimes import requirements
from trimtab.domains.registry.runtimes.environments import DONE_FILE, Environments
from trimtab.domains.registry.runtimes.errors import BadRequirements, BuildingOff, RuntimeFailed
from trimtab.domains.registry.runtimes.model import Runtime
from trimtab.domains.registry.runtimes.requirements import Asked, read
from trimtab.kernel.errors import Forbidden
from trimtab.kernel.who import Principal, system
from trimtab.serving.processes import OWN

PLANE = system("deploy")
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what takes long and asks the database for nothing that other tests do not ask both kinds for."""
APPROVER = Principal("token:a", "approver", "approver")
MLMODEL = b"""flavors:
  lightgbm: {data: model.txt, lgb_version: 99.0.1}
signature:
  inputs: '[{"type": "double", "name": "a"}, {"type": "double", "name": "b"}]'
  outputs: '[{"type": "double"}]'
  params: null
"""
EXAMPLE = b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, 2.0]]}}'
FILES = {
    "MLmodel": MLMODEL,
    "model.txt": b"127.0.0.1:1",
    "serving_input_example.json": EXAMPLE,
    "requirements.txt": b"mlflow==3.17.2\nlightgbm==99.0.1\n",
}


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    made = Index(tmp_path_factory.mktemp("index"))
    made.add_real()
    made.add_lightgbm()
    made.add("cloudpickle", "1.0", {"cloudpickle.py": "def load(file): raise ValueError('nothing in it')\n"})
    made.add("scikit_learn", "1.0", {"sklearn/__init__.py": ""})
    made.add("needy", "1.0", {"needy.py": ""}, requires=("absent>=2",))
    return made


@pytest.fixture
def offline(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have uv know the tests' own index and no other; before the App."""
    monkeypatch.setenv("UV_CONFIG_FILE", str(index.config))


@pytest.fixture
def register(app: App, editor: Principal) -> "Register":
    return Register(app, editor)


class Register:
    """Registers versions from files."""

    def __init__(self, app: App, editor: Principal) -> None:
        self._app = app
        self._editor = editor
        self._tracked = Tracked(app)

    def __call__(self, files: Mapping[str, bytes]) -> int:
        model = self._tracked.model(files)
        made = self._app.registry.create_version(
            self._editor, "m", source=f"models:/{model}", create_model=True
        )
        return made.version


def settled(app: App, version: int) -> Runtime:
    """Do at once what the jobs of a version would do."""
    app.runtimes.settle(PLANE, "m", version)
    app.runtimes.carry_out(PLANE, "m", version)
    return app.runtimes.get(PLANE, "m", version)


def asked(text: str, flavors: list[str] | None = None, **files: bytes) -> Asked:
    every = {
        "requirements.txt": text.encode(),
        **{name.replace("__", "."): raw for name, raw in files.items()},
    }
    return read(every, flavors=flavors or ["lightgbm", "python_function"], format_="lightgbm")


def test_what_a_model_asks_for_is_sorted_by_where_it_comes_from() -> None:
    found = asked(
        "# a note\nmlflow==3.0\nscikit_learn==1.6 \\\n  # more\npandas>=2; python_version < '3'\n"
        "-c constraints.txt\nown @ https://example.com/own.whl\n./wheels/x-1-py3-none-any.whl\n"
        "--extra-index-url https://example.com/simple\n-e .\n",
        constraints__txt=b"numpy<3\n",
    )
    assert found.lines[:2] == ["scikit_learn==1.6", 'pandas>=2; python_version < "3"']
    assert "lightgbm" in found.lines
    assert found.constraints == ["numpy<3"]
    assert [line.split()[0] for line in found.elsewhere] == [
        "own",
        "./wheels/x-1-py3-none-any.whl",
        "--extra-index-url",
        "-e",
    ]


def test_mlflow_is_asked_for_where_only_it_loads_the_model() -> None:
    assert "mlflow==3.0" in asked("mlflow==3.0\n", ["python_function"]).lines
    assert "mlflow-skinny" in asked("", ["python_function"]).lines


def test_conda_files_count_where_there_is_no_other() -> None:
    conda = b"dependencies:\n- python=3.11.2\n- pip<=24\n- libgomp\n- pip:\n  - lightgbm==4.1\n  - mlflow\n"
    found = read({"conda.yaml": conda}, flavors=["lightgbm"], format_="lightgbm")
    assert (found.python, found.lines[0], found.conda) == ("3.11.2", "lightgbm==4.1", ["libgomp"])


@pytest.mark.parametrize("line", ["numpy ==", "==1", "numpy=1.0", "x\x00y"])
def test_lines_that_mean_nothing_are_named(line: str) -> None:
    with pytest.raises(BadRequirements, match="is no requirement"):
        asked(line + "\n")


def test_what_is_lacking_is_said_in_words() -> None:
    lines = ["numpy>=1", "msgspec<0.1", "no-such-package", "mlflow>=3", "gone; python_version < '3'"]
    assert [text.partition(",")[0] for text in requirements.lacking(Asked(lines=lines))] == [
        "msgspec<0.1 is asked for",
        "no-such-package is asked for",
    ]


def test_the_servers_packages_are_used_where_they_do(app: App, register: Register) -> None:
    version = register({**FILES, "requirements.txt": b"mlflow==1.0\nlightgbm>=4\n"})
    found = settled(app, version)
    assert (found.state, found.lock, found.message) == (
        "own",
        "",
        "Everything that it asks for is installed here.",
    )
    assert app.runtimes.interpreter(PLANE, "m", version) == OWN
    assert app.jobs.find(kind="registry.prepare_runtime") == []


def test_an_environment_is_made_tried_and_shared(offline: None, app: App, register: Register) -> None:
    version = register(FILES)
    work_off(app, "light", "heavy")
    found = app.runtimes.get(PLANE, "m", version)
    assert (found.state, found.trial) == ("ready", "passed"), found.message
    assert found.message == "It was loaded and predicted its input example."
    assert "lightgbm==99.0.1 \\\n    --hash=sha256:" in found.lock
    assert "mlflow" not in found.lock
    assert set(found.took) == {"resolve", "install", "try"}
    interpreter = app.runtimes.interpreter(PLANE, "m", version)
    assert interpreter is not None
    assert interpreter.name == found.key
    again = register({**FILES, "model.txt": b"127.0.0.1:2"})
    other = settled(app, again)
    assert (other.state, other.key) == ("ready", found.key)
    assert len(app.runtimes.environments.here()) == 1
    held, taken = app.runtimes.collect(PLANE, served=[("m", "1")]), app.runtimes.environments.here()
    assert (held, taken) == ((0, 0), [found.key])


@SQLITE
def test_an_environment_that_is_lost_is_made_again_from_its_lock(
    offline: None, app: App, register: Register
) -> None:
    version = register(FILES)
    found = settled(app, version)
    app.runtimes.environments.remove(found.key)
    assert app.runtimes.interpreter(PLANE, "m", version) is None
    assert app.runtimes.get(PLANE, "m", version).state == "pending"
    assert app.runtimes.interpreter_now(PLANE, "m", version).name == found.key
    again = app.runtimes.get(PLANE, "m", version)
    assert (again.state, again.key, again.lock) == ("ready", found.key, found.lock)


@SQLITE
@pytest.mark.parametrize(
    ("needed", "said"),
    [
        (b"lightgbm==98\n", "lightgbm==98 cannot be had together with the rest."),
        (b"lightgbm==99.0.1\nneedy\n", "needy cannot be had together with the rest."),
        (b"lightgbm >== 1\n", "is no requirement"),
        (b"lightgbm @ https://example.com/l.whl\n", "would run code from outside the package index"),
    ],
)
def test_what_cannot_be_had_is_named(
    offline: None, app: App, register: Register, needed: bytes, said: str
) -> None:
    version = register({**FILES, "requirements.txt": needed})
    found = settled(app, version)
    assert found.state == "failed"
    assert said in found.message
    with pytest.raises(RuntimeFailed, match="has no environment"):
        app.runtimes.interpreter(PLANE, "m", version)


@SQLITE
def test_a_model_that_its_environment_cannot_load_has_failed(
    offline: None, app: App, register: Register
) -> None:
    found = settled(app, register({**FILES, "model.txt": b"nothing"}))
    assert (found.state, found.trial) == ("failed", "failed")
    assert "LightGBM cannot read model.txt: this is no booster" in found.message


@SQLITE
def test_paths_are_installed_for_an_approver_only(
    offline: None, app: App, register: Register, index: Index, editor: Principal, tmp_path: Path
) -> None:
    carried = Index(tmp_path / "carried") if (tmp_path / "carried").mkdir() is None else index
    wheel = carried.add("carried", "1.0", {"carried.py": ""})
    files = {
        **FILES,
        "requirements.txt": b"lightgbm==99.0.1\n./wheels/" + wheel.name.encode() + b"\n",
        f"wheels/{wheel.name}": wheel.read_bytes(),
    }
    version = register(files)
    assert settled(app, version).state == "failed"
    with pytest.raises(Forbidden):
        app.runtimes.prepare(editor, "m", version, allow_sources=True)
    app.runtimes.prepare(APPROVER, "m", version, allow_sources=True)
    found = settled(app, version)
    assert (found.state, found.allowed.by) == ("ready", APPROVER.id), found.message
    assert "carried" in found.lock
    audited = [
        one for one in app.govern.audit_trail(PLANE).items if one.action == "registry.version.environment"
    ]
    assert audited[0].detail == {"sources": True, "pickle": False, "own": False}


@SQLITE
def test_unsafe_formats_are_tried_for_an_approver_only(
    offline: None, app: App, register: Register, editor: Principal
) -> None:
    files = {**FILES, "MLmodel": MLMODEL.replace(b"model.txt", b"model.pkl"), "model.pkl": b"\x80\x04N."}
    version = register(files)
    found = settled(app, version)
    assert (found.state, found.trial) == ("ready", "skipped")
    assert "runs code, which nobody allowed yet" in found.message
    assert "cloudpickle==1.0" in found.lock
    with pytest.raises(Forbidden):
        app.runtimes.prepare(editor, "m", version, allow_pickle=True)
    app.runtimes.prepare(APPROVER, "m", version, allow_pickle=True)
    tried = settled(app, version)
    assert (tried.state, tried.trial, tried.key) == ("failed", "failed", found.key)
    assert "nothing in it" in tried.message


@SQLITE
def test_the_setting_forbids_or_asks(
    offline: None, app: App, register: Register, editor: Principal, viewer: Principal
) -> None:
    app.runtimes._building = "never"
    version = register(FILES)
    found = settled(app, version)
    assert found.state == "own"
    assert "lightgbm==99.0.1 is asked for, and 4." in found.message
    assert app.runtimes.interpreter(PLANE, "m", version) == OWN
    with pytest.raises(BuildingOff):
        app.runtimes.prepare(APPROVER, "m", version)
    app.runtimes._building = "approve"
    asks = register({**FILES, "model.txt": b"127.0.0.1:9"})
    assert "An approver has to" in settled(app, asks).message
    with pytest.raises(Forbidden):
        app.runtimes.prepare(editor, "m", asks)
    with pytest.raises(Forbidden):
        app.runtimes.prepare(viewer, "m", asks, own=True)
    app.runtimes.prepare(APPROVER, "m", asks)
    assert settled(app, asks).state == "ready"
    assert app.runtimes.prepare(editor, "m", asks, own=True).state == "own"
    assert app.runtimes.interpreter(PLANE, "m", asks) == OWN


SLOW_UV = """#!/bin/sh
case "$*" in *"pip install"*) {uv} "$@"; echo $$ > {flag}.new; mv {flag}.new {flag}; exec sleep 60;; *) exec {uv} "$@";; esac
"""
BUILD = """
import os, sys
from pathlib import Path
from trimtab.domains.registry.runtimes import environments, processes
processes.find_uv = lambda: sys.argv[3]
places = environments.Environments(Path(sys.argv[1]), os.environ)
python = places.choose_python("")
places.build("k" * 32, Path(sys.argv[2]).read_text(), python, model=Path(sys.argv[1]), sources=False)
"""


def test_a_build_that_is_killed_leaves_nothing_that_is_used(
    offline: None, index: Index, tmp_path: Path
) -> None:
    folder, flag, slow = tmp_path / "environments", tmp_path / "flag", tmp_path / "uv"
    folder.mkdir()
    places = Environments(folder, os.environ)
    uv = places.uv()
    assert uv is not None
    slow.write_text(SLOW_UV.format(uv=uv, flag=flag))
    slow.chmod(0o755)
    python = places.choose_python("3.11.0")
    lock = places.resolve(Asked(lines=["cloudpickle"]), python, model=tmp_path, sources=False)
    (tmp_path / "lock").write_text(lock)
    process = subprocess.Popen([sys.executable, "-c", BUILD, str(folder), str(tmp_path / "lock"), str(slow)])
    deadline = time.monotonic() + 20
    while not flag.exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    assert places.leftovers() == [], "it is being made"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    os.kill(int(flag.read_text()), signal.SIGKILL)
    assert places.here() == []
    assert places.find("k" * 32) is None
    left = places.leftovers()
    assert len(left) == 1
    made = places.build("k" * 32, lock, python, model=tmp_path, sources=False)
    assert subprocess.run([made.python, "-c", "import cloudpickle"], check=False).returncode == 0
    assert (folder / ("k" * 32) / DONE_FILE).exists()
    places.clear(places.leftovers())
    assert places.leftovers() == []


def test_what_nothing_uses_is_collected(
    offline: None, app: App, register: Register, owner: Principal
) -> None:
    version = register(FILES)
    key = settled(app, version).key
    place = app.runtimes.environments.folder / key
    long_ago = time.time() - 40 * 86_400
    os.utime(place / DONE_FILE, (long_ago, long_ago))
    for file in place.glob(".used"):
        os.utime(file, (long_ago, long_ago))
    assert app.runtimes.collect(owner, served=[("m", str(version))]) == (0, 0)
    process = subprocess.Popen([place / "bin" / "python", "-c", "input()"], stdin=subprocess.PIPE)
    assert app.runtimes.collect(owner, served=[]) == (0, 0), "a version that was deleted may still run in it"
    process.communicate(b"\n")
    count, size = app.runtimes.collect(owner, served=[], dry_run=True)
    assert count == 1
    assert size > 20 << 20, "numpy alone takes more"
    assert place.exists()
    started = app.collector.start(owner, dry_run=True)
    work_off(app, "heavy")
    assert app.collector.get(owner, started.id).report.environment_bytes == size
    assert app.runtimes.collect(owner, served=[]) == (1, size)
    assert app.runtimes.environments.here() == []
    assert not app.runtimes.environments.cache.exists()


def test_over_http(offline: None, app: App, http: TestClient, register: Register) -> None:
    version = register({**FILES, "requirements.txt": b"lightgbm>=4\n"})
    path = f"/api/v1/models/m/versions/{version}/environment"
    assert http.get(path).json()["state"] == "pending"
    settled(app, version)
    found = http.get(path).json()
    assert (found["state"], found["asked"][0]) == ("own", "lightgbm>=4")
    assert http.post(path, json={"own": True}).status_code == 202
    assert http.post(path, json={"own": 3}).status_code == 400
    assert http.get("/api/v1/models/m/versions/99/environment").status_code == 404
