"""Takes the pictures of docs/images from a running server: python tools/screenshots.py URL [FOLDER].

The server is best one that ``make demo DEMO=--keep`` left up. Pages are taken at 1440 px in light and dark, and some at
390 px too. ``--only=runs,plots`` takes those alone; the pages of runs show ``--experiment=ID``, best one that
``bench/seed_runs.py`` filled.
"""

import json
import shutil
import sys
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import sync_playwright

PAGES = {
    "overview": "/",
    "data": "/data",
    "pipelines": "/pipelines",
    "experiments": "/experiments",
    "runs": "/experiments/{experiment}?nested=0",
    "plots": "/experiments/{experiment}?show=plots&nested=0&target={metric}",
    "compare": "/compare?runs={compared}&smooth=0.6",
    "differences": "/compare?runs={compared}&tab=diff",
    "run": "/runs/{run}?tab=values",
    "artifacts": "/runs/{run}?tab=artifacts&file=report.html",
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
WAIT_MS = 1500
NARROW = ("overview", "monitor", "rollouts", "runs", "run")


def places(url: str, experiment: str | None) -> dict[str, str]:
    """Return what stands in the addresses of the pages of runs; by default of the experiment with the most."""

    def get(path: str) -> list[dict[str, str]]:
        with urlopen(f"{url}/api/v1/{path}") as answer:
            return json.load(answer)["items"]

    experiment = experiment or max(get("experiments?limit=500"), key=lambda one: one["runs"])["id"]
    runs = get(f"runs?experiment_id={experiment}&limit=5&filter=status%20=%20'FINISHED'")
    metrics = get(f"experiments/{experiment}/metrics") or [""]
    return {
        "experiment": experiment,
        "run": runs[0]["id"] if runs else "",
        "compared": ",".join(run["id"] for run in runs),
        "metric": "val/auc" if "val/auc" in metrics else str(metrics[0]),
    }


def main() -> None:
    """Write one PNG for each page, theme and size."""
    given = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    flags = dict(argument[2:].split("=", 1) for argument in sys.argv[1:] if argument.startswith("--"))
    only = flags["only"].split(",") if "only" in flags else []
    url = given[0].rstrip("/")
    folder = Path(given[1] if len(given) > 1 else "docs/images")
    names = places(url, flags.get("experiment"))
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
                    if (suffix and name not in NARROW) or (only and name not in only):
                        continue
                    page.goto(url + path.format(**names))
                    page.wait_for_timeout(WAIT_MS)
                    dark = "-dark" if theme == "dark" else ""
                    page.screenshot(path=folder / f"{name}{suffix}{dark}.png")
                    print(f"{name}{suffix}{dark}.png")
                context.close()
        browser.close()


if __name__ == "__main__":
    main()
