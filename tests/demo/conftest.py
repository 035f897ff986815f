"""The real flights, read once for all tests of the demonstration."""

import pyarrow as pa
import pytest

from trimtab.demo import flights

pytest.importorskip("sklearn")


@pytest.fixture(scope="session")
def raw() -> dict[str, pa.Table]:
    try:
        return flights.load_raw()
    except ModuleNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def table(raw: dict[str, pa.Table]) -> pa.Table:
    """The features of all flights."""
    kept = {name: flights.validate_rows(name, source)[0] for name, source in raw.items()}
    return flights.features(flights.join_weather(kept["flights"], kept["weather"]), kept["planes"])
