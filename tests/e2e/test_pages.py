"""Every page of the UI in a real browser over a real server: reachable, accessible, quiet, and talking to nobody else.

Screenshots go to the folder that TRIMTAB_SCREENSHOTS names, to be looked at.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from blake3 import blake3
from playwright.sync_api import Browser, Page, expect, sync_playwright

from trimtab.demo.server import Server

CHROMIUM = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)
AXE = Path(__file__).parents[2] / "ui" / "node_modules" / "axe-core" / "axe.min.js"
VIEWS = [(1440, 900, "light"), (390, 844, "dark")]
PAGES = [
    "/",
    "/data",
    "/data/flights",
    "/data/flights/1",
    "/pipelines",
    "/experiments",
    "/experiments/1",
    "/models",
    "/endpoints",
    "/batch",
    "/edge",
    "/monitors",
    "/alerts",
    "/alerts?tab=rules",
    "/alerts?tab=channels",
    "/lineage?ref=data:flights@1",
    "/audit",
    "/settings",
    "/settings?tab=person",
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; see tools/browser.py")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a dataset and two runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIMTAB_URL", "")
        running = Server(tmp_path_factory.mktemp("home"))
        _fill(running)
        yield running
        running.stop()


def _fill(server: Server) -> None:
    rows = ("hour,late\n" + "\n".join(f"{hour % 24},{int(hour % 3 == 0)}" for hour in range(200))).encode()
    blob = f"b3:{blake3(rows).hexdigest()}"
    server.client.upload(f"/api/v1/blobs/{blob}", rows)
    file = {"path": "flights.csv", "blob": blob, "size_bytes": len(rows)}
    server.client.post("/api/v1/data/flights/versions", {"files": [file]})
    at_us = 1_700_000_000_000_000
    for name in ("first", "second"):
        run = server.client.post("/api/v1/runs", {"experiment": "delays", "name": name})
        points = [
            {"key": "loss", "value": 1 / (step + 1), "at_us": at_us + step, "step": step}
            for step in range(50)
        ]
        server.client.post(f"/api/v1/runs/{run['id']}/log", {"metrics": points, "params": {"depth": name}})


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Watched:
    """A page that remembers what it complained about and whom it asked."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self._url = url
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def open(self, path: str) -> Page:
        self.page.goto(self._url + path)
        expect(self.page.locator("main h1")).to_be_visible()
        expect(self.page.locator("main .skeleton")).to_have_count(0)
        return self.page

    def blameless(self) -> None:
        assert self.complaints == []
        assert self.hosts <= {urlsplit(self._url).netloc}


@pytest.fixture(params=VIEWS, ids=lambda view: f"{view[0]}-{view[2]}")
def wide(request: pytest.FixtureRequest, browser: Browser, server: Server) -> Iterator[tuple[Watched, str]]:
    """A page in each width and theme, and the name of that view."""
    width, height, theme = request.param
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
    yield Watched(context.new_page(), server.url), f"{width}-{theme}"
    context.close()


@pytest.fixture
def watched(browser: Browser, server: Server) -> Iterator[Watched]:
    """A page on a wide screen."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield Watched(context.new_page(), server.url)
    context.close()


def _scanned(page: Page) -> list[tuple[str, str]]:
    """Return what shuts someone out of a page, with the first place of each."""
    page.evaluate(AXE.read_text("utf-8"))
    violations = page.evaluate("axe.run({resultTypes: ['violations']}).then(found => found.violations)")
    return [
        (one["id"], one["nodes"][0]["html"]) for one in violations if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.timeout(300)
def test_every_page_is_accessible_and_quiet(wide: tuple[Watched, str]) -> None:
    watched, view = wide
    findings: dict[str, Any] = {}
    for path in PAGES:
        page = watched.open(path)
        serious = _scanned(page)
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        if serious or overflow > 0:
            findings[path] = {"axe": serious, "overflow_px": overflow}
        _screenshot(page, f"{path.strip('/') or 'overview'}-{view}")
    assert findings == {}
    watched.blameless()


def test_the_main_path_by_keyboard(watched: Watched) -> None:
    page = watched.open("/")
    page.keyboard.press("g")
    page.keyboard.press("x")
    expect(page).to_have_url(re.compile("/experiments$"))
    expect(page.get_by_role("link", name="delays")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/experiments/1$"))
    expect(page.get_by_role("link", name="first")).to_be_visible()
    for _ in range(2):
        page.keyboard.press("j")
        page.keyboard.press("x")
    page.get_by_role("link", name="Compare").press("Enter")
    expect(page.get_by_role("heading", name="Compare 2 runs")).to_be_visible()
    page.get_by_role("tab", name="Curves").press("ArrowRight")
    expect(page.get_by_role("tab", name="Differences")).to_be_focused()
    expect(page.get_by_role("rowheader", name="depth")).to_be_visible()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("flights")
    page.keyboard.press(
        "Enter"
    )  # before anything was found: what is listed yet was found for less of the name
    expect(page).to_have_url(re.compile("/data/flights$"))
    watched.blameless()


def test_a_token_is_shown_once_and_can_be_revoked(watched: Watched) -> None:
    page = watched.open("/settings")
    page.get_by_role("button", name="Make a token").first.click()
    page.get_by_label("Name").fill("ci")
    page.get_by_role("button", name="Make", exact=True).click()
    expect(page.get_by_role("heading", name="Copy the token now")).to_be_visible()
    secret = page.locator("dialog pre").first.inner_text()
    page.get_by_role("button", name="I have it").click()
    expect(page.get_by_role("cell", name="ci", exact=True)).to_be_visible()
    assert secret not in page.content()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("revoked", exact=True)).to_be_visible()
    watched.blameless()


def test_the_audit_chain_is_verified_in_place(watched: Watched) -> None:
    page = watched.open("/audit")
    page.get_by_role("button", name="Verify the chain").click()
    expect(page.get_by_text("nothing was changed, removed or put in between")).to_be_visible()
    watched.blameless()


def test_links_that_mlflow_prints_lead_to_the_run(watched: Watched, server: Server) -> None:
    run = server.client.get("/api/v1/runs", experiment_id="1")["items"][0]
    page = watched.open(f"/#/experiments/1/runs/{run['id']}")
    expect(page).to_have_url(re.compile(f"/runs/{run['id']}$"))
    expect(page.get_by_role("heading", name=run["name"])).to_be_visible()
    watched.blameless()


def test_a_new_run_appears_without_a_reload(watched: Watched, server: Server) -> None:
    page = watched.open("/experiments/1")
    expect(page.get_by_role("link", name="second")).to_be_visible()
    server.client.post("/api/v1/runs", {"experiment": "delays", "name": "while-you-watch"})
    expect(page.get_by_role("link", name="while-you-watch")).to_be_visible(timeout=15_000)
    watched.blameless()


def _screenshot(page: Page, name: str) -> None:
    folder = os.environ.get("TRIMTAB_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{re.sub(r'[^a-z0-9]+', '-', name)}.png", full_page=True)
