"""Builds the web UI into the wheel; an editable install leaves that to `make ui`."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class UiBuildHook(BuildHookInterface[Any]):
    """Runs ui/build.py before the files of a wheel are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  the plugin interface
        if self.target_name == "wheel" and version != "editable":
            subprocess.run([sys.executable, str(Path(self.root) / "ui" / "build.py")], check=True)
