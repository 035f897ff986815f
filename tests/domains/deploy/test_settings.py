"""What is set for endpoints: read from texts, checked, audited, and handed to the data plane."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.domains.deploy.conftest import PLANE, Models
from trimtab.app import App
from trimtab.domains.deploy.errors import EndpointNotFound
from trimtab.domains.deploy.settings import model
from trimtab.domains.deploy.settings.model import DEFAULT
from trimtab.domains.govern.errors import NotPermitted
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal
from trimtab.serving.policies.settings import FieldRule, Quota, Rate

EVERYTHING = {
    "timeout": "500ms",
    "max_body": "4MB",
    "rate_limit": "100/s",
    "key_rate_limit": "600/min",
    "quota": "1000000/day",
    "key_quota": "50000/month",
    "max_in_flight": "200",
    "retries": "20%",
    "circuit": "3",
    "circuit_open": "5s",
    "remote_replicas": "1=10.0.0.2:7001, 1=10.0.0.3:7001, 2=[::1]:7001",
    "sticky_by": "a",
    "cache": "60s",
    "cache_size": "8MiB",
    "explain": "on",
    "min_replicas": "2",
    "max_replicas": "4",
    "target_delay": "50ms",
    "idle": "5min",
}


def test_every_setting_is_read_and_shown_in_the_same_words() -> None:
    changed = model.change(DEFAULT, EVERYTHING)
    assert set(EVERYTHING) == set(model.SETTINGS)
    assert model.shown(changed) == EVERYTHING
    assert (changed.timeout_ms, changed.max_body_bytes) == (500, 4_000_000)
    assert (changed.policies.rate, changed.policies.key_rate) == (Rate(100, 1), Rate(600, 60))
    assert (changed.policies.quota, changed.policies.key_quota) == (
        Quota(1_000_000, "day"),
        Quota(50_000, "month"),
    )
    assert model.change(changed, dict.fromkeys(EVERYTHING)) == DEFAULT
    assert model.change(changed, dict.fromkeys(EVERYTHING, "default")) == DEFAULT
    off = ("rate_limit", "key_rate_limit", "quota", "key_quota", "retries", "circuit", "sticky_by", "cache")
    shown = model.shown(model.change(changed, dict.fromkeys(off, "off")))
    assert {shown[name] for name in off} == {"off"}


@examples(max_examples=60, deadline=None)
@given(value=st.integers(1, 10**9))
def test_times_and_sizes_come_back(value: int) -> None:
    for name in ("timeout", "max_body"):
        once = model.change(DEFAULT, {name: f"{value}{'ms' if name == 'timeout' else 'B'}"})
        assert model.change(DEFAULT, {name: model.shown(once)[name]}) == once


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("timeout", "soon"),
        ("timeout", "0ms"),
        ("timeout", "off"),
        ("timeout", "9" * 30 + "h"),
        ("max_body", "4 parsecs"),
        ("max_body", "0B"),
        ("rate_limit", "100"),
        ("rate_limit", "0/s"),
        ("rate_limit", "100/week"),
        ("rate_limit", f"{'9' * 40}/s"),
        ("quota", "5/s"),
        ("quota", "-5/day"),
        ("max_in_flight", "0"),
        ("max_in_flight", "many"),
        ("retries", "0.1"),
        ("remote_replicas", "10.0.0.2:7001"),
        ("remote_replicas", "1=10.0.0.2"),
        ("remote_replicas", "one=10.0.0.2:7001"),
        ("retries", "101%"),
        ("sticky_by", "x" * 501),
        ("circuit", "-1"),
        ("circuit_open", "0s"),
        ("cache_size", "0B"),
        ("rate", "1/s"),
    ],
)
def test_bad_values_name_their_setting(name: str, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        model.change(DEFAULT, {name: text})
    assert refused.value.field == name


def test_rules_of_columns() -> None:
    rules = {"email": "hash", "ssn": "drop", "age": "generalise:10", "born": "generalise:month"}
    ruled = model.change_fields(DEFAULT, rules)
    assert model.shown_fields(ruled) == rules
    assert ruled.policies.fields["age"] == FieldRule("generalise", "10")
    assert model.weakened(ruled, model.change_fields(ruled, {"email": "drop"})) == []
    assert model.weakened(ruled, model.change_fields(ruled, {"ssn": "hash", "age": None})) == ["age", "ssn"]
    for column, text in (
        ("age", "generalise"),
        ("age", "generalise:often"),
        ("email", "encrypt"),
        ("ssn", "drop:1"),
    ):
        with pytest.raises(Invalid) as refused:
            model.change_fields(DEFAULT, {column: text})
        assert refused.value.field == f"fields.{column}"


def test_changes_are_audited_and_announced(
    app: App, models: Models, editor: Principal, viewer: Principal, owner: Principal
) -> None:
    settings = app.deploy.settings
    with pytest.raises(EndpointNotFound):
        settings.get(viewer, "churn")
    models.version()
    app.deploy.deploy(editor, "churn", "models:/churn/1")
    assert settings.get(viewer, "churn").settings == DEFAULT
    followed: list[Any] = []
    app.deploy.followed_by(lambda: followed.append(settings.in_force(PLANE)))
    with pytest.raises(NotPermitted):
        settings.change(viewer, "churn", {"rate_limit": "1/s"})
    settings.change(editor, "churn", {"rate_limit": "100/s", "timeout": "500ms"}, reason="a busy day")
    settings.change(editor, "churn", {"rate_limit": "50/s"}, rules={"a": "hash"})
    assert settings.change(editor, "churn", {"rate_limit": "50/s"}).updated_by == editor.id
    assert len(followed) == 2  # what changes nothing is no change
    assert followed[-1]["churn"].policies.rate == Rate(50)
    acts = [one for one in app.govern.audit_trail(owner).items if one.action == "deploy.endpoint.settings"]
    assert [one.detail for one in acts] == [
        {"before": {"fields.a": None, "rate_limit": "100/s"}, "after": {"fields.a": "hash", "rate_limit": "50/s"}, "reason": ""},
        {"before": {"rate_limit": "off", "timeout": "60s"}, "after": {"rate_limit": "100/s", "timeout": "500ms"}, "reason": "a busy day"},
    ]  # fmt: skip

    with pytest.raises(NotPermitted):
        settings.change(editor, "churn", {}, rules={"a": None})
    assert settings.change(editor, "churn", {}, rules={"a": "drop"}).settings.policies.fields == {
        "a": FieldRule("drop")
    }
    assert settings.change(owner, "churn", {}, rules={"a": None}).settings.policies.fields == {}
    for changes, rules in (({"sticky_by": "aa"}, {}), ({}, {"emial": "drop"})):
        with pytest.raises(Invalid, match="No version at churn has an input"):
            settings.change(editor, "churn", changes, rules=rules)

    app.deploy.remove(owner, "churn")
    app.deploy.deploy(editor, "churn", "models:/churn/1")
    assert settings.get(viewer, "churn").settings == DEFAULT


def test_keys_open_endpoints_and_nothing_else(app: App, owner: Principal) -> None:
    from trimtab.domains.govern.errors import BadToken

    followed: list[int] = []
    app.govern.followed_by(lambda: followed.append(len(app.govern.tokens_in_force())))
    key, text = app.govern.create_token(owner, name="shop", role="viewer", endpoints=["churn", "churn", "a"])
    assert key.endpoints == ["a", "churn"]
    assert [token.endpoints for token in app.govern.tokens(owner)] == [["a", "churn"]]
    with pytest.raises(BadToken, match="a, churn at the inference port"):
        app.govern.authenticate(f"Bearer {text}", None)
    for wrong in ([], ["a/b"], ["a"] * 101):
        with pytest.raises(Invalid) as refused:
            app.govern.create_token(owner, name="shop", endpoints=wrong)
        assert refused.value.field == "endpoints"
    assert app.govern.first_token()  # a key signs nobody in, so the owner still needs a token
    app.govern.revoke_token(owner, key.id)
    assert followed == [1, 2, 1]
