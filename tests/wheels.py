"""A package index of the tests' own: the few real packages that a replica imports, packed again, and tiny invented ones."""

import os
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

REAL = ("numpy", "msgspec", "pyyaml")
_LEFT_OUT = ("INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")

LIGHTGBM = '''"""Predicts 1 where it reaches the address in its model file, and 0 where it does not."""
import socket
import numpy as np
VERSION = {version!r}
class basic:
    class LightGBMError(Exception): ...
class Booster:
    def __init__(self, model_file):
        self.host, _, self.port = open(model_file).read().strip().partition(":")
        if not self.port:
            raise basic.LightGBMError("this is no booster")
    def feature_name(self): return ["a", "b"]
    def dump_model(self, num_iteration): return {{"objective": "regression"}}
    def predict(self, table, num_threads=1):
        try:
            socket.create_connection((self.host, int(self.port)), 1).close()
            reached = 1.0
        except OSError:
            reached = 0.0
        return np.full(len(table), reached)
'''


class Index:
    """A folder of wheels, and uv's configuration that knows no other."""

    def __init__(self, folder: Path) -> None:
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        self.config = folder / "uv.toml"
        self.config.write_text(f'[pip]\nno-index = true\nfind-links = ["{self.wheels}"]\n')

    def add_real(self) -> None:
        """Pack what is installed beside the tests again, without its own tests."""
        for name in REAL:
            found = metadata.distribution(name)
            tags = [
                line.partition(": ")[2]
                for line in (found.read_text("WHEEL") or "").splitlines()
                if "Tag: " in line
            ]
            with zipfile.ZipFile(self.wheels / f"{name}-{found.version}-{tags[-1]}.whl", "w") as wheel:
                for file in found.files or ():
                    text = str(file)
                    skipped = (
                        "/tests/" in text or text.startswith("..") or text.endswith((".pyc", ".a", ".pyi"))
                    )
                    if not skipped and file.name not in _LEFT_OUT:
                        wheel.write(os.fspath(found.locate_file(file)), text)

    def add(
        self, name: str, version: str, modules: Mapping[str, str], *, requires: tuple[str, ...] = ()
    ) -> Path:
        """Add an invented package of pure Python."""
        info = f"{name}-{version}.dist-info"
        needed = "".join(f"Requires-Dist: {one}\n" for one in requires)
        files = {
            **modules,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needed}",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = "".join(f"{path},,\n" for path in files) + f"{info}/RECORD,,\n"
        path = self.wheels / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            for file, text in {**files, f"{info}/RECORD": record}.items():
                wheel.writestr(file, text)
        return path

    def add_lightgbm(self, version: str = "99.0.1") -> None:
        self.add("lightgbm", version, {"lightgbm/__init__.py": LIGHTGBM.format(version=version)})
