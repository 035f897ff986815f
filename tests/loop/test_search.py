"""Finding things by name or id, however many there are."""

import pytest

from trimtab.app import App
from trimtab.kernel.who import Principal
from trimtab.loop import search


@pytest.fixture
def found(app: App, owner: Principal, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.setattr(search, "_MOST", 1)
    for name in ("first 50% 'own'", "second"):
        app.registry.create_model(owner, name)
        app.tracking.experiments.create(owner, name=name)
    return app


def kinds(app: App, who: Principal, text: str) -> list[tuple[str, str]]:
    return [(hit.kind, hit.label) for hit in app.search.search(who, text)]


@pytest.mark.parametrize("text", ["first", "FIRST", "50% '"])
def test_names_are_found_however_many_there_are(found: App, viewer: Principal, text: str) -> None:
    name = "first 50% 'own'"
    assert kinds(found, viewer, text) == [("model", name), ("experiment", name)]
    assert kinds(found, viewer, "50_") == []


def test_a_run_is_found_by_its_id_however_many_there_are(
    found: App, owner: Principal, viewer: Principal
) -> None:
    old = found.tracking.runs.create(owner, name="old", started_us=1)
    found.tracking.runs.create(owner, name="new")
    assert kinds(found, viewer, old.head.id.upper()) == [("run", "old")]
    assert kinds(found, viewer, "f" * 32) == []


def test_an_experiment_is_found_by_its_number(found: App, owner: Principal, viewer: Principal) -> None:
    made = found.tracking.experiments.create(owner, name="third")
    assert ("experiment", "third") in kinds(found, viewer, made.id)
    assert kinds(found, viewer, "9" * 30) == []


def test_what_may_be_the_id_of_a_prediction_comes_first(found: App, viewer: Principal) -> None:
    assert kinds(found, viewer, "0" * 26) == [("prediction", f"prediction {'0' * 26}")]
