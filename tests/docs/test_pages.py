"""Every block of code in the README, the tutorial and the how-tos runs against one real server, and so do the examples."""

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Reader, blocks
from tests.processes import free_port, serving
from trimtab.sdk.client import connect

TUTORIAL = ROOT / "docs" / "tutorial" / "01-a-first-afternoon.md"
HOW_TOS = sorted((ROOT / "docs" / "howto").glob("*.md"))
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A server, and a folder to work in; this process talks to the same server."""
    root = tmp_path_factory.mktemp("docs")
    folder = root / "work"
    folder.mkdir()
    port, grpc = str(free_port()), str(free_port())
    flags = ("--inference-port", port, "--grpc-port", grpc)
    with serving(root / "home", *flags) as url, pytest.MonkeyPatch.context() as patch:
        reader = Reader(
            folder,
            url=url,
            inference_url=f"http://127.0.0.1:{port}",
            grpc=f"127.0.0.1:{grpc}",
            home=root / "home",
        )
        for name, value in reader.environment.items():
            patch.setenv(name, value)
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        yield reader


@pytest.fixture(scope="session")
def tutorial(reader: Reader) -> Reader:
    """The reader after the tutorial, where the how-tos begin."""
    reader.read(TUTORIAL)
    return reader


def test_readme(reader: Reader) -> None:
    reader.read(ROOT / "README.md")


def test_tutorial(tutorial: Reader) -> None:
    assert connect(tutorial.url).get("/endpoints/tumours")["champion"]


@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.stem)
def test_how_to(tutorial: Reader, page: Path) -> None:
    tutorial.read(page)


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.stem)
def test_example(reader: Reader, script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out


def test_example_pipeline_on_the_server(reader: Reader) -> None:
    reader.run(f"trimtab pipelines run {ROOT}/examples/pipeline.py:wines", "examples/pipeline.py")
    (run,) = connect(reader.url).get("/pipeline-runs", pipeline="wines")["items"]
    assert run["outputs"] == {"cultivar": 0, "alcohol": 13.74}


def test_few_blocks_are_not_run() -> None:
    pages = [ROOT / "README.md", TUTORIAL, *HOW_TOS]
    every = [block for page in pages for block in blocks(page.read_text())]
    skipped = [block for block in every if block.skipped]
    assert len(skipped) <= len(every) / 4
