"""Takes the pictures of docs/images from a running server: python tools/screenshots.py URL [FOLDER].

The server is best one that ``make demo DEMO=--keep`` left up. Pages are taken at 1440 px in light and dark, and the
overview at 390 px too.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PAGES = {
    "overview": "/",
    "data": "/data",
    "pipelines": "/pipelines",
    "experiments": "/experiments",
    "models": "/models/flight-delays",
    "gate": "/models/flight-delays/versions/5",
    "endpoint": "/endpoints/flight-delays",
    "rollouts": "/endpoints/flight-delays?tab=rollouts",
    "monitor": "/monitors/flight-delays",
    "alerts": "/alerts",
    "lineage": "/lineage?ref=endpoint:flight-delays",
    "audit": "/audit",
}
SIZES = {"": (1440, 900), "-narrow": (390, 844)}


def main() -> None:
    """Write one PNG for each page, theme and size."""
    url = sys.argv[1].rstrip("/")
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else "docs/images")
    folder.mkdir(parents=True, exist_ok=True)
    program = next(path for name in ("chromium", "google-chrome") if (path := shutil.which(name)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for theme in ("light", "dark"):
            for suffix, (width, height) in SIZES.items():
                context = browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce"
                )
                page = context.new_page()
                for name, path in PAGES.items():
                    if suffix and name not in ("overview", "monitor", "rollouts"):
                        continue
                    page.goto(url + path)
                    page.wait_for_timeout(1500)
                    dark = "-dark" if theme == "dark" else ""
                    page.screenshot(path=folder / f"{name}{suffix}{dark}.png")
                    print(f"{name}{suffix}{dark}.png")
                context.close()
        browser.close()


if __name__ == "__main__":
    main()
