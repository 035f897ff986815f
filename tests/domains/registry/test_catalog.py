"""Registered models: names, tags, renaming, searching."""

import pytest

from tests.domains.registry.conftest import SAFE, Tracked
from trimtab.app import App
from trimtab.domains.registry import RegistryService
from trimtab.domains.registry.errors import ModelExists, ModelNotFound
from trimtab.kernel.errors import Invalid
from trimtab.kernel.filters import BadFilter
from trimtab.kernel.who import Principal


def test_a_model_is_made_once_described_and_deleted(
    app: App, registry: RegistryService, editor: Principal, viewer: Principal
) -> None:
    made = registry.create_model(editor, "delay", description="late?", tags={"team": "ops"})
    assert (made.latest_version, made.tags, made.aliases) == (None, {"team": "ops"}, {})
    with pytest.raises(ModelExists, match="already exists"):
        registry.create_model(editor, "delay")
    assert registry.describe_model(editor, "delay", description="changed").description == "changed"
    registry.set_model_tag(editor, "delay", key="team", value="risk")
    registry.set_model_tag(editor, "delay", key="a b/c", value="")
    registry.delete_model_tag(editor, "delay", key="a b/c")
    registry.delete_model_tag(editor, "delay", key="never")
    assert registry.get_model(viewer, "delay").tags == {"team": "risk"}
    registry.delete_model(editor, "delay")
    with pytest.raises(ModelNotFound):
        registry.delete_model(editor, "delay")
    assert [event.kind for event in app.bus.after(0)] == ["registry.model_created", "registry.model_deleted"]
    again = registry.create_model(editor, "delay")
    assert (again.description, again.tags) == ("", {})


@pytest.mark.parametrize(
    "name", ["", "  ", "a/b", "a:b", "..", ".", "../x", "a\nb", "x" * 257, "a\x7f"]
)  # fmt: skip
def test_bad_names_are_refused(registry: RegistryService, editor: Principal, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        registry.create_model(editor, name)
    assert refused.value.field == "name"
    registry.create_model(editor, "fine")
    with pytest.raises(Invalid):
        registry.rename_model(editor, "fine", new_name=name)
    assert [model.name for model in registry.search_models(editor).items] == ["fine"]


def test_bad_tags_and_descriptions_are_refused(registry: RegistryService, editor: Principal) -> None:
    for tags in ({"": "x"}, {"k" * 251: "x"}, {"k": "v" * 100_001}, {"a\x00": "x"}):
        with pytest.raises(Invalid):
            registry.create_model(editor, "m", tags=tags)
    with pytest.raises(Invalid):
        registry.create_model(editor, "m", description="x" * 50_001)
    assert registry.search_models(editor).items == []


def test_an_unknown_name_gets_the_nearest(
    registry: RegistryService, tracked: Tracked, editor: Principal
) -> None:
    registry.create_model(editor, "flight-delay")
    source = f"models:/{tracked.model(SAFE)}"
    for call in (
        lambda: registry.get_model(editor, "flight-dealy"),
        lambda: registry.describe_model(editor, "flight-dealy", description=""),
        lambda: registry.create_version(editor, "flight-dealy", source=source),
        lambda: registry.set_alias(editor, "flight-dealy", "a", 1),
    ):
        with pytest.raises(ModelNotFound, match="Did you mean 'flight-delay'"):
            call()


def test_renaming_takes_everything_along(
    app: App, registry: RegistryService, tracked: Tracked, editor: Principal
) -> None:
    source = f"models:/{tracked.model(SAFE)}"
    for _ in range(2):
        registry.create_version(editor, "old", source=source, create_model=True, tags={"k": "v"})
    registry.set_model_tag(editor, "old", key="team", value="ops")
    registry.set_alias(editor, "old", "champion", 1)
    registry.record_gate(editor, "old", 1, champion=None, verdict="passed", checks=[])
    registry.create_model(editor, "taken")
    with pytest.raises(ModelExists):
        registry.rename_model(editor, "old", new_name="taken")
    renamed = registry.rename_model(editor, "old", new_name="new")
    assert (renamed.name, renamed.aliases, renamed.tags, renamed.latest_version) == (
        "new",
        {"champion": 1},
        {"team": "ops"},
        2,
    )
    assert registry.get_version(editor, "new", 1).tags == {"k": "v"}
    assert len(registry.files(editor, "new", 1)) == 3
    assert len(registry.gates(editor, "new", 1).items) == 1
    assert len(registry.alias_history(editor, "new").items) == 1
    with pytest.raises(ModelNotFound):
        registry.get_model(editor, "old")
    edges = app.lineage.graph(editor, "model:new/2", direction="up", depth=1).edges
    assert ("model:old/2", "derived") in {(edge.source, edge.kind) for edge in edges}
    assert registry.create_version(editor, "old", source=source, create_model=True).version == 3
    assert registry.create_version(editor, "new", source=source).version == 3
    assert registry.rename_model(editor, "new", new_name="new").name == "new"


def test_renaming_onto_a_deleted_name_keeps_its_numbers_used(
    registry: RegistryService, tracked: Tracked, editor: Principal
) -> None:
    source = f"models:/{tracked.model(SAFE)}"
    for _ in range(3):
        registry.create_version(editor, "gone", source=source, create_model=True)
    registry.delete_model(editor, "gone")
    registry.create_version(editor, "other", source=source, create_model=True)
    registry.rename_model(editor, "other", new_name="gone")
    assert registry.create_version(editor, "gone", source=source).version == 4


def _names(registry: RegistryService, who: Principal, asked: str, **more) -> list[str]:
    return [model.name for model in registry.search_models(who, filter=asked, **more).items]


def test_models_are_searched(registry: RegistryService, editor: Principal) -> None:
    for name, tags in {
        "Alpha": {"team": "x", "tier": "1"},
        "beta": {"team": "y"},
        "be_ta": {},
        "100%": {},
    }.items():
        registry.create_model(editor, name, tags=tags)
    assert _names(registry, editor, "name = 'beta'") == ["beta"]
    assert set(_names(registry, editor, "name != 'beta'")) == {"Alpha", "be_ta", "100%"}
    assert set(_names(registry, editor, "name LIKE 'be%'")) == {"beta", "be_ta"}
    assert _names(registry, editor, "name LIKE 'Be%'") == []
    assert set(_names(registry, editor, "name ILIKE 'BE%'")) == {"beta", "be_ta"}
    assert _names(registry, editor, "name LIKE 'alpha'") == []
    assert set(_names(registry, editor, "name IN ('beta', 'Alpha')")) == {"Alpha", "beta"}
    assert _names(registry, editor, "tags.team = 'x'") == ["Alpha"]
    assert _names(registry, editor, "tags.team != 'x'") == ["beta"]
    assert _names(registry, editor, "tag.`team` LIKE '%' AND tags.tier = '1'") == ["Alpha"]
    assert _names(registry, editor, "tags.team = 'x' AND tags.team = 'y'") == []
    assert len(_names(registry, editor, "tag.`mlflow.prompt.is_prompt` != 'true'")) == 4
    assert len(_names(registry, editor, "name = '' AND name = ''")) == 0
    for bad in (
        "nme = 'x'",
        "name > 'x'",
        "name = 3",
        "params.x = 'y'",
        "name",
        "tags.team IN ('x')",
        "run_id = 'x'",
    ):
        with pytest.raises(BadFilter):
            _names(registry, editor, bad)


def test_models_are_ordered_and_paged(registry: RegistryService, editor: Principal) -> None:
    for name in ("c", "a", "b"):
        registry.create_model(editor, name)
    registry.describe_model(editor, "a", description="newest")
    assert _names(registry, editor, "") == ["a", "b", "c"]
    assert _names(registry, editor, "", order_by=["name DESC"]) == ["c", "b", "a"]
    assert _names(registry, editor, "", order_by=["last_updated_timestamp desc", "name"]) == ["a", "b", "c"]
    assert _names(registry, editor, "", order_by=["creation_timestamp"]) == ["c", "a", "b"]
    for order in ([], ["creation_timestamp DESC"], ["timestamp", "name DESC"]):
        whole = _names(registry, editor, "", order_by=order)
        paged, cursor = [], None
        while True:
            page = registry.search_models(editor, order_by=order, limit=1, cursor=cursor)
            paged += [model.name for model in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert paged == whole
    with pytest.raises(Invalid, match="Did you mean 'name'"):
        _names(registry, editor, "", order_by=["nam"])
    with pytest.raises(Invalid, match="twice"):
        _names(registry, editor, "", order_by=["name", "name DESC"])
    cursor = registry.search_models(editor, limit=1).next_cursor
    with pytest.raises(Invalid, match="another listing"):
        registry.search_models(editor, order_by=["name DESC"], limit=1, cursor=cursor)


def test_versions_are_searched(registry: RegistryService, tracked: Tracked, editor: Principal) -> None:
    run = tracked.run()
    source = f"models:/{tracked.model(SAFE, run)}"
    registry.create_version(editor, "a", source=source, create_model=True, tags={"k": "1"})
    registry.create_version(editor, "a", source=f"models:/{tracked.model(SAFE)}")
    registry.create_version(editor, "b", source=source, create_model=True)

    def found(asked: str, **more) -> list[tuple[str, int]]:
        return [
            (one.name, one.version) for one in registry.search_versions(editor, filter=asked, **more).items
        ]

    assert found("") == [("b", 1), ("a", 2), ("a", 1)]
    assert found("name = 'a'") == [("a", 2), ("a", 1)]
    assert found("", name="a") == [("a", 2), ("a", 1)]
    assert found(f"run_id = '{run}'") == [("b", 1), ("a", 1)]
    assert found(f"run_id IN ('{run}', 'x') and version_number >= 1 and name = 'a'") == [("a", 1)]
    assert found(f"source_path = '{source}' AND tags.k = '1'") == [("a", 1)]
    assert found("version_number = 2") == [("a", 2)]
    assert found("version_number > '1'") == [("a", 2)]
    assert found("", order_by=["name ASC", "version_number ASC"]) == [("a", 1), ("a", 2), ("b", 1)]
    first = registry.search_versions(editor, limit=2)
    rest = registry.search_versions(editor, limit=2, cursor=first.next_cursor)
    assert [(one.name, one.version) for one in rest.items] == [("a", 1)]
    for bad in (
        "version_number = 1.5",
        "version_number LIKE '1'",
        "version_number = 'x'",
        "source_path IN ('x')",
        "stage = 'x'",
    ):
        with pytest.raises(BadFilter):
            found(bad)
    with pytest.raises(ModelNotFound):
        found("", name="c")
