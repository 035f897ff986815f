"""What the tests of data add: files by their content, and tables."""

from collections.abc import Mapping

import pytest
from blake3 import blake3

from tests.background import work_off
from trimtab.app import App
from trimtab.domains.data.model import DataFile, DataVersion
from trimtab.kernel.who import Principal


class Warehouse:
    """Uploads contents and adds versions made of them."""

    def __init__(self, app: App, who: Principal) -> None:
        self.app = app
        self.who = who

    def files(self, contents: Mapping[str, bytes]) -> list[DataFile]:
        return [
            DataFile(path, len(content), self.app.blobs.put(content)) for path, content in contents.items()
        ]

    def add(self, name: str, contents: Mapping[str, bytes], **more: object) -> DataVersion:
        return self.app.data.add(self.who, name, self.files(contents), **more).version  # type: ignore[arg-type]

    def validated(self, name: str, contents: Mapping[str, bytes]) -> DataVersion:
        version = self.add(name, contents)
        work_off(self.app, "heavy")
        return self.app.data.get_version(self.who, name, version.version)


@pytest.fixture
def warehouse(app: App, editor: Principal) -> Warehouse:
    return Warehouse(app, editor)


def blob_of(content: bytes) -> str:
    return f"b3:{blake3(content).hexdigest()}"
