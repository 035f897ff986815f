"""The built UI on the real server in a real browser: the main path by mouse and by keyboard, with real objects."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import trimtab
from tests.objects import DATA, ENDPOINT, MODEL, MONITOR, ROWS, fill
from tests.processes import Server, running
from trimtab.science.sequential.judge import Limit, Policy
from trimtab.sdk.client import Client

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ROOT = Path(__file__).parents[2]
AXE = ROOT / "ui" / "node_modules" / "axe-core" / "axe.min.js"
PATIENCE_MS = 20_000
_RULES = Policy()
JUDGED: dict[str, Limit] = {
    label: limit
    for label, limit in {
        "Error rate": _RULES.errors,
        "Latency": _RULES.latency,
        "Predictions": _RULES.predictions,
        "Mean prediction": _RULES.prediction_mean,
        "Quality": _RULES.quality,
    }.items()
    if limit is not None
}
"""The judge's own limits, which the form shows where nothing is typed."""

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
def known(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The names of what is on the server: one of everything, and an endpoint with two versions that has answered."""
    names = fill(client, tmp_path_factory.mktemp("objects"))
    trimtab.endpoints.deploy(ENDPOINT, f"models:/{MODEL}/2", weight=20, reason="try it", client=client)
    for _ in range(5):
        trimtab.endpoints.predict(ENDPOINT, ROWS, client=client)
    return names


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def refused() -> set[int]:
    """The statuses with which the server may refuse what a test sends on purpose."""
    return set()


@pytest.fixture
def page(browser: Any, server: Server, known: Mapping[str, str], refused: set[int]) -> Iterator[Any]:
    """A page which may show no error and may ask nobody but the server."""
    context = browser.new_context(base_url=server.url, viewport={"width": 1360, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    problems: list[str] = []
    page.on(
        "console",
        lambda message: (
            problems.append(message.text)
            if message.type == "error"
            and not any(f"status of {status}" in message.text for status in refused)
            else None
        ),
    )
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url) if _is_foreign(request.url) else None)
    page.on(
        "response",
        lambda answer: (
            problems.append(f"{answer.status} {answer.url}")
            if answer.status >= 400 and answer.status not in refused
            else None
        ),
    )
    yield page
    context.close()
    assert not problems, problems


def _is_foreign(url: str) -> bool:
    return urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).hostname != "127.0.0.1"


def _see(page: Any, text: "str | re.Pattern[str]") -> None:
    playwright.expect(page.locator("main").get_by_text(text).first).to_be_visible(timeout=PATIENCE_MS)


def _rail(page: Any, label: str) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name=label).click()
    _title(page, label)


def _title(page: Any, title: "str | re.Pattern[str]") -> None:
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text(title, timeout=PATIENCE_MS)


def _link(page: Any, name: "str | re.Pattern[str]") -> Any:
    return page.locator("main").get_by_role("link", name=name).first


def test_a_row_is_tried_from_a_form_made_of_the_signature(page: Any, client: Client) -> None:
    page.goto(f"/endpoints/{ENDPOINT}?tab=try")
    page.get_by_role("button", name="Fill in an example").click()
    page.get_by_label("Version", exact=True).select_option("2")
    page.get_by_role("button", name="Send").click()
    _see(page, "Answered in")
    document = client.get(f"/endpoints/{ENDPOINT}/openapi")
    column = next(iter(document["components"]["schemas"]["Row"]["properties"]))
    for language, code in (
        ("v2", "/versions/2/infer"),
        ("triton", "tritonclient"),
        ("python", "urllib.request"),
        ("curl", f"/v1/models/{ENDPOINT}/versions/2:predict"),
    ):
        page.get_by_label("Language and protocol").select_option(language)
        playwright.expect(page.get_by_label("Code")).to_contain_text(code)
        playwright.expect(page.get_by_label("Code")).to_contain_text(column)


def test_the_main_path_by_mouse(page: Any, client: Client, known: Mapping[str, str]) -> None:
    page.goto("/")
    _see(page, "Churn looks odd")

    _rail(page, "Experiments")
    _link(page, "churn model").click()
    _title(page, "churn model")
    _link(page, "fit 0").click()
    _title(page, "fit 0")
    _see(page, "loss")
    assert page.url.endswith(f"/runs/{known['run_id']}")

    _rail(page, "Data")
    _link(page, DATA).click()
    _title(page, DATA)

    _rail(page, "Models")
    _link(page, MODEL).click()
    _title(page, MODEL)
    _link(page, re.compile("^v1")).click()
    _title(page, re.compile(f"{MODEL}.*1"))
    _see(page, "skops")

    _rail(page, "Monitors")
    _link(page, MONITOR).click()
    _title(page, MONITOR)

    page.goto(f"/lineage?ref=model:{MODEL}/1")
    _see(page, re.compile("fit 0|churn"))

    _rail(page, "Audit")
    page.get_by_role("button", name="Verify the chain").click()
    _see(page, re.compile("entries are as they were written"))


def test_traffic_is_changed_and_taken_back(page: Any, client: Client) -> None:
    page.goto("/")
    _rail(page, "Endpoints")
    _link(page, ENDPOINT).click()
    _title(page, ENDPOINT)
    page.get_by_role("button", name="Change traffic").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("spinbutton", name="Share of version 1").fill("60")
    playwright.expect(dialog.get_by_role("status")).to_contain_text("add up to 80 %")
    playwright.expect(dialog.get_by_role("button", name="Change traffic")).to_be_disabled()
    dialog.get_by_role("spinbutton", name="Share of version 2").fill("40")
    dialog.get_by_label("Reason").fill("more evidence")
    dialog.get_by_role("button", name="Change traffic").click()
    playwright.expect(dialog).to_be_hidden()
    assert _weights(client) == {"1": 60, "2": 40}
    assert client.get(f"/endpoints/{ENDPOINT}/history")["items"][0]["reason"] == "more evidence"

    page.get_by_role("button", name="Roll back").click()
    dialog.get_by_label("Reason").fill("enough")
    dialog.get_by_role("button", name=re.compile("^Roll back to")).click()
    playwright.expect(dialog).to_be_hidden()
    assert 100 in _weights(client).values()


def _weights(client: Client) -> dict[str, float]:
    return {one["version"]: one["weight"] for one in client.get(f"/endpoints/{ENDPOINT}")["versions"]}


def test_a_rollout_is_started_approved_followed_and_taken_back(
    page: Any, client: Client, refused: set[int]
) -> None:
    refused.add(400)
    page.goto(f"/endpoints/{ENDPOINT}")
    page.get_by_role("button", name="Start a rollout").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Steps, percent").fill("5, x")
    playwright.expect(dialog.get_by_role("button", name="Start")).to_be_disabled()
    dialog.get_by_label("Strategy").select_option("blue-green")
    playwright.expect(dialog.get_by_role("status")).to_contain_text("copies of 20 % to the former champion")
    dialog.get_by_label("Strategy").select_option("canary")
    dialog.get_by_label("Steps, percent").fill("10, 40")
    dialog.get_by_label("Reason").fill("from the page")
    dialog.get_by_text("What the judge asks for").click()
    for kind, limit in JUDGED.items():
        for label, value in (("harm above", limit.harm), ("safe below", limit.margin)):
            field = dialog.get_by_label(f"{kind}: {label}")
            playwright.expect(field).to_have_attribute("placeholder", f"{value:g}")
    dialog.get_by_label("Quality: safe below").fill("0.02")
    dialog.get_by_label("Chance of a false alarm").fill("0.7")
    dialog.get_by_role("button", name="Start").click()
    playwright.expect(dialog).to_contain_text("alpha lies between 0 and 0.5")
    playwright.expect(dialog.get_by_label("Chance of a false alarm")).to_be_focused()
    playwright.expect(dialog.get_by_role("alert")).to_have_count(0)
    dialog.get_by_label("Chance of a false alarm").fill("0.01")
    dialog.get_by_label("Somebody else has to approve it first").check()
    dialog.get_by_role("button", name="Start").click()
    playwright.expect(dialog).to_be_hidden()
    _see(page, "An approver other than owner has to agree")
    playwright.expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    with _as(page, client, "approver") as other:
        other.goto(f"/endpoints/{ENDPOINT}")
        other.get_by_role("button", name="Deny").click()
        playwright.expect(other.get_by_role("dialog")).to_contain_text("owner started ends before")
        other.keyboard.press("Escape")
        other.get_by_role("button", name="Approve").click()
        other.get_by_role("dialog").get_by_role("button", name="Approve").click()
        playwright.expect(other.get_by_role("dialog")).to_be_hidden()
    steps = page.get_by_role("list", name="Steps")
    playwright.expect(steps).to_contain_text(re.compile("10 %.*40 %.*100 %"), timeout=PATIENCE_MS)
    _see(page, "This step goes on for at least")
    page.locator("main .card").filter(has=steps).get_by_role("button", name="Roll back").click()
    dialog.get_by_role("button", name="Roll back").click()
    playwright.expect(dialog).to_be_hidden()
    (rollout, *_) = client.get(f"/endpoints/{ENDPOINT}/rollouts")["items"]
    assert (rollout["state"], rollout["plan"]["steps"]) == ("rolled-back", [10, 40])
    assert rollout["policy"] == {"alpha": 0.01, "quality": {"margin": 0.02}}
    assert rollout["approved_by"] not in (None, rollout["actor"])
    assert max(_weights(client).values()) == 100


@contextmanager
def _as(page: Any, client: Client, role: str) -> Iterator[Any]:
    """A page of somebody else, who has a role."""
    token = client.post("/tokens", {"name": role, "role": role})["token"]
    context = page.context.browser.new_context(base_url=client.url)
    context.add_cookies([{"name": "trimtab_token", "value": token, "url": client.url}])
    other = context.new_page()
    other.set_default_timeout(PATIENCE_MS)
    yield other
    context.close()


def test_a_batch_prediction_is_started_and_followed(page: Any, client: Client, refused: set[int]) -> None:
    refused.add(400)
    page.goto("/batch")
    page.get_by_role("button", name="Predict a data version").click()
    dialog = page.get_by_role("dialog")
    playwright.expect(dialog.get_by_role("status")).to_contain_text(f"{MODEL} v1 reads 300 rows of {DATA} v1")
    dialog.get_by_label("Model version").select_option("/2")
    dialog.get_by_label("Written beside the predictions").select_option("these")
    playwright.expect(dialog.get_by_role("button", name="Predict")).to_be_disabled()
    dialog.get_by_label("age").check()
    output = dialog.get_by_label("Written to the dataset")
    output.fill(DATA)
    output.press("Enter")
    playwright.expect(output).to_have_attribute("aria-invalid", "true")
    playwright.expect(output).to_be_focused()
    playwright.expect(dialog).to_contain_text("The predictions need a dataset of their own")
    output.fill("scored")
    output.press("Enter")
    _title(page, f"{MODEL} on {DATA}")
    playwright.expect(_link(page, "scored@1")).to_be_visible(timeout=6 * PATIENCE_MS)
    playwright.expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")
    (batch,) = client.get("/batch-predictions")["items"]
    assert (batch["model_version"], batch["options"]["columns"]) == (2, ["age"])
    _link(page, "scored@1").click()
    _title(page, re.compile("scored"))


def test_rules_and_the_loop_are_set(page: Any, client: Client, refused: set[int]) -> None:
    refused.update((400, 409))
    page.goto("/alerts?tab=rules")
    page.get_by_role("button", name="Add a rule").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("by-hand-2")
    dialog.get_by_label("Event").fill("deploy.version_failed")
    dialog.get_by_label("Title").fill("{endpoint} failed")
    dialog.get_by_label("Tests").fill("endpoint churn")
    playwright.expect(dialog.get_by_role("button", name="Add the rule")).to_be_disabled()
    dialog.get_by_label("Tests").fill("endpoint == churn")
    dialog.get_by_role("button", name="Add the rule").click()
    playwright.expect(dialog.get_by_label("Name")).to_be_focused()
    playwright.expect(dialog).to_contain_text("There is a rule 'by-hand-2' already")
    dialog.get_by_label("Name").fill("broken")
    dialog.get_by_role("button", name="Add the rule").click()
    playwright.expect(dialog).to_be_hidden()
    _see(page, "deploy.version_failed where endpoint == churn")
    rule = client.get("/alert-rules/broken")
    assert rule["condition"]["where"] == [{"field": "endpoint", "op": "==", "value": "churn"}]

    page.goto(f"/monitors/{MONITOR}")
    page.get_by_role("button", name="Set a policy").click()
    dialog.get_by_label("Parameters of the pipeline").fill('{"most": 4}')
    dialog.get_by_text("The canary", exact=True).click()
    dialog.get_by_label("Steps, percent").fill("50, 5")
    dialog.get_by_role("button", name="Set it").click()
    playwright.expect(dialog.get_by_label("Steps, percent")).to_be_focused()
    dialog.get_by_label("Steps, percent").fill("5, 50")
    dialog.get_by_role("button", name="Set it").click()
    playwright.expect(dialog).to_be_hidden()
    _see(page, "5 % → 50 % → all")
    policy = client.get(f"/loops/{ENDPOINT}")
    assert (policy["params"], policy["canary"]["steps"]) == ({"most": 4}, [5, 50])


ACTS = re.compile(
    r"^(Start|Change|Add|Deploy|Predict|Roll back|More|Watch|Stop|Set|Remove|Cancel|Send|Environments)\b"
)


def test_who_may_only_read_is_offered_no_act(page: Any, client: Client) -> None:
    with _as(page, client, "viewer") as reader:
        for path, shown in (
            (f"/endpoints/{ENDPOINT}", "Requests, last minute"),
            (f"/endpoints/{ENDPOINT}?tab=settings", "Key rate limit"),
            ("/batch", "A model over a whole data version"),
            (f"/monitors/{MONITOR}", "Windows to a false alarm"),
            ("/alerts?tab=rules", "by-hand-2"),
            (f"/models/{MODEL}", "Metric by version"),
        ):
            reader.goto(path)
            _see(reader, shown)
            playwright.expect(reader.get_by_title("viewer, viewer")).to_have_count(1)
            main = reader.locator("main")
            playwright.expect(main.get_by_role("button", name=ACTS)).to_have_count(0)
            playwright.expect(main.get_by_role("switch")).to_have_count(0)


def test_settings_are_changed(page: Any, client: Client) -> None:
    page.goto(f"/endpoints/{ENDPOINT}?tab=settings")
    page.get_by_role("button", name="Change settings").click()
    dialog = page.get_by_role("dialog")
    playwright.expect(dialog.get_by_role("button", name="Change settings")).to_be_disabled()
    dialog.get_by_label("Key rate limit").fill("6000/min")
    dialog.get_by_label("Reason").fill("from the page")
    dialog.get_by_role("button", name="Change 1 setting").click()
    playwright.expect(dialog).to_be_hidden()
    _see(page, "6000/min")
    page.get_by_role("button", name="Add a rule").click()
    dialog.get_by_label("What is done").select_option("generalise")
    dialog.get_by_label("Column").fill("anything")
    playwright.expect(dialog.get_by_role("button", name="Add the rule")).to_be_disabled()
    dialog.get_by_role("button", name="Cancel").click()
    known = {one["name"]: one["value"] for one in client.get(f"/endpoints/{ENDPOINT}/settings")["settings"]}
    assert known["key_rate_limit"] == "6000/min"


def test_an_endpoint_is_exported(page: Any, client: Client) -> None:
    page.goto(f"/endpoints/{ENDPOINT}")
    page.get_by_role("button", name="Export", exact=True).click()
    dialog = page.get_by_role("dialog")
    playwright.expect(dialog.get_by_label("haproxy.cfg", exact=True)).to_contain_text("frontend inference")
    dialog.get_by_label("Upstreams").fill("10.0.0.7:5001")
    dialog.get_by_label("Upstreams").press("Enter")
    playwright.expect(dialog.get_by_label("haproxy.cfg", exact=True)).to_contain_text(
        "server s1 10.0.0.7:5001"
    )
    dialog.get_by_label("For").select_option("kserve")
    playwright.expect(dialog.get_by_label("kserve.yaml", exact=True)).to_contain_text("InferenceService")
    with page.expect_download() as saving:
        dialog.get_by_role("button", name="Save kserve.yaml").click()
    asked = client.download(f"/endpoints/{ENDPOINT}/export", format="kserve")
    assert Path(saving.value.path()).read_bytes() == b"".join(asked)
    dialog.get_by_label("For").select_option("image")
    playwright.expect(dialog).to_contain_text(f"trimtab endpoints package {ENDPOINT}")


def test_an_alert_is_acknowledged(page: Any, client: Client, known: Mapping[str, str]) -> None:
    page.goto("/alerts")
    alert = page.get_by_role("listitem").filter(has_text="Churn looks odd")
    alert.get_by_role("button", name="Acknowledge").click()
    playwright.expect(alert).to_have_count(0, timeout=PATIENCE_MS)
    assert client.get(f"/alerts/{known['alert_id']}")["state"] == "acknowledged"


def test_the_main_path_by_keyboard(page: Any) -> None:
    page.goto("/")
    _title(page, re.compile("."))
    for key, title in [
        ("x", "Experiments"),
        ("m", "Models"),
        ("e", "Endpoints"),
        ("n", "Monitors"),
        ("a", "Alerts"),
        ("u", "Audit"),
    ]:
        page.keyboard.press("g")
        page.keyboard.press(key)
        _title(page, title)
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="Find anything")
    playwright.expect(box).to_be_focused()
    page.keyboard.type("churn model")
    playwright.expect(page.get_by_role("option").first).to_contain_text("churn model", timeout=PATIENCE_MS)
    page.keyboard.press("Enter")
    _title(page, "churn model")
    page.keyboard.press("Control+k")
    playwright.expect(box).to_be_focused()
    page.keyboard.press("Escape")
    playwright.expect(box).to_be_hidden()
    page.keyboard.press("?")
    playwright.expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    playwright.expect(page.get_by_role("dialog")).to_be_hidden()

    page.goto(f"/endpoints/{ENDPOINT}")
    _title(page, ENDPOINT)
    page.get_by_role("button", name="Change traffic").focus()
    page.keyboard.press("Enter")
    playwright.expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("document.querySelector('dialog[open]').contains(document.activeElement)")
    page.keyboard.press("Escape")
    playwright.expect(page.get_by_role("dialog")).to_be_hidden()
    playwright.expect(page.get_by_role("button", name="Change traffic")).to_be_focused()


FORMS: dict[str, str | re.Pattern[str]] = {
    "/batch": "Predict a data version",
    f"/endpoints/{ENDPOINT}?form": "Start a rollout",
    "/endpoints?form": "Deploy a model",
    f"/models/{MODEL}?form": "Environments",
    f"/monitors/{MONITOR}?form": re.compile("Set a policy|Change it"),
    "/monitors": "Watch an endpoint",
    "/alerts?tab=rules": "Add a rule",
}
"""The button of each page that opens its form."""


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: python ui/build.py --check")
def test_no_page_shuts_anyone_out(browser: Any, page: Any, known: Mapping[str, str], server: Server) -> None:
    script = AXE.read_text()
    pages = [
        "/",
        "/data",
        f"/data/{DATA}/1",
        "/pipelines",
        "/experiments",
        f"/experiments/{known['experiment_id']}",
    ]
    pages += [f"/runs/{known['run_id']}", f"/models/{MODEL}", f"/models/{MODEL}/1", f"/endpoints/{ENDPOINT}"]
    pages += [f"/endpoints/{ENDPOINT}?tab=settings"]
    pages += [f"/monitors/{MONITOR}", "/alerts", f"/lineage?ref=model:{MODEL}/1", "/audit", "/settings"]
    pages += FORMS
    found: list[str] = []
    for path in pages:
        page.goto(path)
        playwright.expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=PATIENCE_MS)
        page.wait_for_load_state("load")
        if path in FORMS:
            page.get_by_role("button", name=FORMS[path]).click()
            for fold in page.get_by_role("dialog").locator("summary").all():
                fold.click()
        page.evaluate(script)
        result = page.evaluate("axe.run({resultTypes: ['violations']})")
        for problem in result["violations"]:
            if problem["impact"] in ("serious", "critical"):
                where = [node["target"] for node in problem["nodes"][:3]]
                found.append(f"{path}: {problem['id']} ({problem['help']}) at {where}")
    assert not found, "\n".join(found)
