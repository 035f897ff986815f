"""The blob contract on every adapter."""

from pathlib import Path

import pytest

from trimtab.infra.blobs import Blobs, connect
from trimtab.testing.blobs import BlobsContract


class TestLocalBlobs(BlobsContract):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Blobs:
        return connect(f"file://{tmp_path}/blobs")
