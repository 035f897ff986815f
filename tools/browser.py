"""Makes sure that the browser tests have a Chromium: Debian's, installed where that is allowed."""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Install Chromium where this is Debian and we are root; say what will be left out elsewhere."""
    if any(shutil.which(name) for name in NAMES):
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("Installing Chromium for the browser tests")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-q"], env=environment, check=False, **quiet)
        command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"]
        subprocess.run(command, env=environment, check=False, **quiet)
    if not any(shutil.which(name) for name in NAMES):
        print(
            "No Chromium here: the browser tests will be left out. Install it (Debian: chromium).",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
