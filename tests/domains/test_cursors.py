"""Cursors that were made up are refused by every listing, on both databases."""

from collections.abc import Callable

import pytest

from trimtab.app import App
from trimtab.kernel.errors import Invalid
from trimtab.kernel.pages import encode_cursor
from trimtab.kernel.who import Principal

FORGED = [
    encode_cursor(key) for key in ((2**70,), ("a\x00b",), (None,), (2**70, "x"), ("then", "x"), (0, None))
]


def test_a_listing_refuses_what_it_did_not_issue(app: App, owner: Principal) -> None:
    app.registry.create_model(owner, "churn")
    for cursor in (*FORGED, "no cursor", "ü"):
        refused(app, owner, cursor)


def refused(app: App, owner: Principal, cursor: str) -> None:
    hooks = app.registry.webhooks
    listings: list[Callable[[], object]] = [
        lambda: app.govern.audit_trail(owner, cursor=cursor),
        lambda: app.deploy.history(owner, "churn", cursor=cursor),
        lambda: app.batches.list(owner, cursor=cursor),
        lambda: app.pipelines.find_pipelines(owner, cursor=cursor),
        lambda: app.pipelines.find_runs(owner, cursor=cursor),
        lambda: app.registry.alias_history(owner, "churn", cursor=cursor),
        lambda: hooks.find(owner, cursor=cursor),
        lambda: app.data.datasets(owner, cursor=cursor),
        lambda: app.data.versions(owner, "flights", cursor=cursor),
        lambda: app.alerts.find(owner, cursor=cursor),
        lambda: app.loop.timeline(owner, cursor=cursor),
    ]
    for at, listing in enumerate(listings):
        with pytest.raises(Invalid, match="cursor"):
            print(at, cursor, listing())
