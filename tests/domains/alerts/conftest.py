from collections.abc import Iterator

import pytest

from tests.domains.alerts.receiver import Receiver, listening


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as running:
        yield running
