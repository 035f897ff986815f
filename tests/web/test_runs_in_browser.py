"""Finding and comparing runs in a real browser on the real server, with enough runs that no page holds them all."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.processes import Server, running
from trimtab.sdk.client import Client

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ROOT = Path(__file__).parents[2]
AXE = ROOT / "ui" / "node_modules" / "axe-core" / "axe.min.js"
PATIENCE_MS = 20_000
playwright.expect.set_options(timeout=PATIENCE_MS)
RUNS = 1000

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
    pytest.mark.timeout(240),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not (ROOT / "src" / "trimtab" / "web" / "static" / "index.html").exists():
        subprocess.run([sys.executable, ROOT / "ui" / "build.py"], check=True)
    with running(tmp_path_factory.mktemp("browser") / "home", "--log-level", "warning") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


@pytest.fixture(scope="module")
def experiment(client: Client) -> str:
    """An experiment of 1,000 runs; run 7 is the best, and the newest three have curves and files."""
    made: str = client.post("/experiments", {"name": "delays"})["id"]
    began = int(time.time() * 1e6) - RUNS * 1_000_000
    for first in range(0, RUNS, 500):
        runs = [_run(number, made, began) for number in range(first, first + 500)]
        client.post("/import/runs", {"origin": "test", "runs": runs})
    newest = _id(RUNS - 1)
    client.upload(
        f"/runs/{newest}/artifacts/report.html", b"<p>static</p><script>document.write('ran')</script>"
    )
    client.upload(f"/runs/{newest}/artifacts/rows.csv", b"a,b\n1,x\n2,y\n")
    client.upload(f"/runs/{newest}/artifacts/tree.json", b'{"depth": {"best": 6}}')
    return made


def _id(number: int) -> str:
    return f"{number:032x}"


def _run(number: int, experiment_id: str, began: int) -> dict[str, Any]:
    at = began + number * 1_000_000
    steps = list(range(400)) if number >= RUNS - 3 else [0]
    values = [1 / (1 + step) + number % 5 / 100 for step in steps]
    auc = 0.99 if number == 7 else 0.5 + number % 400 / 1000
    return {
        "id": _id(number),
        "experiment_id": experiment_id,
        "name": f"run-{number}",
        "status": "FAILED" if number % 10 == 3 else "FINISHED",
        "started_us": at,
        "ended_us": at + 60_000_000,
        "owner": "maria",
        "params": {
            "depth": str(number % 7),
            "rate": f"{0.1 / (1 + number % 40):.4f}",
            "kind": ("tree", "net")[number % 2],
        },
        "tags": {"team": "risk"},
        "metrics": [
            {"key": "auc", "steps": [0], "at_us": [at], "values": [auc]},
            {"key": "val/loss", "steps": steps, "at_us": [at + step for step in steps], "values": values},
        ],
    }


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, server: Server, experiment: str) -> Iterator[Any]:
    """A page which may show no error and may ask nobody but the server."""
    context = browser.new_context(
        base_url=server.url, viewport={"width": 1360, "height": 900}, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url) if _is_foreign(request.url) else None)
    yield page
    context.close()
    # A refused filter and a boxed page's scripts are what these pages are for; the browser notes both.
    expected = re.compile("400 \\(Bad Request\\)|Blocked script execution")
    assert not [problem for problem in problems if not expected.search(problem)]


def _is_foreign(url: str) -> bool:
    return urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).hostname != "127.0.0.1"


def _foot(page: Any, text: "str | re.Pattern[str]") -> None:
    playwright.expect(page.locator(".grid-foot")).to_contain_text(text, timeout=PATIENCE_MS)


def _names(page: Any) -> list[str]:
    return page.locator(".rg-link").all_inner_texts()


def _open(page: Any, experiment: str, query: str = "") -> Any:
    page.goto(f"/experiments/{experiment}{query}")
    grid = page.get_by_role("treegrid", name="Runs of delays")
    playwright.expect(grid.get_by_role("link").first).to_be_visible(timeout=PATIENCE_MS)
    return grid


def test_only_what_is_in_view_is_in_the_page(page: Any, experiment: str) -> None:
    grid = _open(page, experiment)
    _foot(page, "1,000 runs")
    assert page.locator(".rg-row").count() < 60
    assert _names(page)[0] == f"run-{RUNS - 1}"
    grid.focus()
    page.keyboard.press("End")
    playwright.expect(grid.get_by_role("link", name="run-0", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    assert page.locator(".rg-row").count() < 60
    page.keyboard.press("Home")
    playwright.expect(grid.get_by_role("link", name=f"run-{RUNS - 1}", exact=True)).to_be_visible()


def test_a_filter_is_completed_and_wrong_ones_are_marked(page: Any, experiment: str) -> None:
    _open(page, experiment)
    page.keyboard.press("/")
    box = page.get_by_role("combobox", name="Filter runs")
    playwright.expect(box).to_be_focused()
    page.keyboard.type("au")
    playwright.expect(page.get_by_role("option", name=re.compile("metrics.auc"))).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.type("> 0.98 ")
    page.keyboard.press("Tab")
    page.keyboard.type("params.kind = ")
    playwright.expect(page.get_by_role("option", name=re.compile("net"))).to_be_visible()
    page.keyboard.type("'n")
    page.keyboard.press("Tab")
    playwright.expect(box).to_have_value("metrics.auc > 0.98 AND params.kind = 'net' ")
    page.keyboard.press("Enter")
    _foot(page, "1 run")
    playwright.expect(page.locator(".rg-link")).to_have_text(["run-7"])
    box.fill("metrics.auc > 'much'")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#filter-note")).to_contain_text("compared with a number")
    playwright.expect(page.locator("#filter-note")).to_contain_text("character 15")
    playwright.expect(page.get_by_text("This filter cannot be read")).to_be_visible()


def test_sort_facets_groups_and_views(page: Any, experiment: str, client: Client) -> None:
    grid = _open(page, experiment, "?cols=name,m%253Aauc,p%253Akind")
    grid.get_by_role("columnheader", name="auc").get_by_role("button", name="auc", exact=True).click()
    playwright.expect(grid.get_by_role("link").first).to_have_text("run-7", timeout=PATIENCE_MS)
    page.get_by_role("region", name="Facet Status").or_(
        page.locator("section[aria-label='Facet status']")
    ).get_by_role("button", name=re.compile("Failed")).click()
    _foot(page, "100 runs")
    page.get_by_role("button", name="Views").click()
    page.get_by_label("Name of the new view").fill("Best failures")
    page.keyboard.press("Enter")
    playwright.expect(page.get_by_role("button", name="Best failures").first).to_be_visible()
    (view,) = client.get("/views", page="runs", experiment_id=experiment)["items"]
    assert view["state"]["filter"] == "attributes.status = 'FAILED'"
    assert view["state"]["sort"] == "-m:auc"
    page.get_by_role("button", name="Clear the filter").click()
    page.get_by_label("Group by").select_option("params.kind")
    _foot(page, "in 2 groups")
    page.get_by_role("row").filter(has_text="net").get_by_role("button").first.click()
    playwright.expect(grid.get_by_role("link", name="run-7", exact=True)).to_be_visible(timeout=PATIENCE_MS)


def test_runs_are_selected_by_keyboard_compared_and_deleted_with_a_way_back(
    page: Any, experiment: str, client: Client
) -> None:
    grid = _open(page, experiment)
    grid.focus()
    for key in ("j", "x", "Shift+ArrowDown", "Shift+ArrowDown"):
        page.keyboard.press(key)
    bar = page.get_by_role("region", name="Selected runs")
    playwright.expect(bar).to_contain_text("3 runs selected")
    bar.get_by_role("button", name="Delete").click()
    _foot(page, "997 runs")
    page.get_by_role("button", name="Undo").click()
    _foot(page, "1,000 runs")
    assert client.get(f"/runs/{_id(RUNS - 1)}")["state"] == "active"
    grid.focus()
    for key in ("Home", "x", "Shift+j", "Shift+j"):
        page.keyboard.press(key)
    bar.get_by_role("link", name="Compare").click()
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text("Compare 3 runs")
    playwright.expect(page.locator(".curve canvas").first).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("tab", name="Differences").click()
    playwright.expect(page.get_by_role("rowheader", name="depth")).to_be_visible()
    playwright.expect(page.get_by_role("rowheader", name="team")).to_have_count(0)
    page.get_by_label("Only what differs").uncheck()
    playwright.expect(page.get_by_role("rowheader", name="team")).to_be_visible()


def test_a_run_shows_curves_files_and_takes_notes(page: Any, experiment: str, client: Client) -> None:
    run = _id(RUNS - 1)
    page.goto(f"/runs/{run}")
    playwright.expect(page.locator(".curve canvas").first).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("tab", name="Overview").click()
    page.get_by_role("button", name="Write").click()
    page.get_by_label("Notes in Markdown").fill("**Keep** <script>alert(1)</script>")
    page.keyboard.press("Control+Enter")
    playwright.expect(page.locator(".markdown strong")).to_have_text("Keep")
    assert page.locator(".markdown script").count() == 0
    assert client.get(f"/runs/{run}")["tags"]["mlflow.note.content"].startswith("**Keep**")
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_role("button", name="rows.csv").click()
    playwright.expect(page.get_by_role("cell", name="y", exact=True)).to_be_visible()
    page.get_by_role("button", name="tree.json").click()
    playwright.expect(page.get_by_text("best")).to_be_visible()
    page.get_by_role("button", name="report.html").click()
    boxed = page.frame_locator("iframe.html-box").locator("body")
    playwright.expect(boxed).to_have_text("static")
    page.get_by_role("button", name="Run its scripts").click()
    playwright.expect(boxed).to_contain_text("ran")


def test_plots_turn_a_range_into_a_filter(page: Any, experiment: str) -> None:
    page.goto(f"/experiments/{experiment}?show=plots&target=auc&axes=p%253Adepth,m%253Aauc")
    slider = page.get_by_role("slider", name=re.compile("Range of auc"))
    playwright.expect(slider).to_be_visible(timeout=PATIENCE_MS)
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowUp")
    page.get_by_role("button", name=re.compile("Filter to")).click()
    playwright.expect(page.get_by_role("combobox", name="Filter runs")).to_have_value(
        re.compile(r"metrics\.auc >= 0\.\d+")
    )
    playwright.expect(page.get_by_text("Parameter importance")).to_be_visible()


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: python ui/build.py --check")
def test_these_pages_shut_nobody_out(page: Any, experiment: str) -> None:
    run = _id(RUNS - 1)
    found: list[str] = []
    for path in (
        f"/experiments/{experiment}",
        f"/experiments/{experiment}?show=plots",
        f"/experiments/{experiment}?group=params.kind",
        f"/compare?runs={run},{_id(RUNS - 2)}",
        f"/compare?runs={run},{_id(RUNS - 2)}&tab=diff",
        f"/runs/{run}",
        f"/runs/{run}?tab=values",
        f"/runs/{run}?tab=artifacts&file=rows.csv",
    ):
        page.goto(path)
        playwright.expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=PATIENCE_MS)
        page.wait_for_timeout(700)
        page.evaluate(AXE.read_text())
        result = page.evaluate("axe.run({resultTypes: ['violations']})")
        found += [
            f"{path}: {problem['id']} ({problem['help']}) at {[node['target'] for node in problem['nodes'][:3]]}"
            for problem in result["violations"]
            if problem["impact"] in ("serious", "critical")
        ]
    assert not found, "\n".join(found)
