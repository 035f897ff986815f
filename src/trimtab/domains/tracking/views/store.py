"""The table of saved views."""

from typing import Any

import msgspec

from trimtab.domains.tracking.views.model import View
from trimtab.infra.db import Tx, load

Q = load(__package__ or "")


def insert(tx: Tx, view: View) -> None:
    tx.run(
        Q.insert_view,
        id=view.id,
        name=view.name,
        page=view.page,
        experiment_id=view.experiment_id,
        state=msgspec.json.encode(view.state).decode(),
        owner_id=view.owner_id,
        owner=view.owner,
        shared=int(view.shared),
        updated_us=view.updated_us,
    )


def visible(tx: Tx, *, page: str, experiment_id: str, owner_id: str, limit: int) -> list[View]:
    """Return the views of a page that are the owner's own or shared, by name."""
    rows = tx.all(Q.views, page=page, experiment_id=experiment_id, owner_id=owner_id, limit=limit)
    return [_view(row) for row in rows]


def get(tx: Tx, view_id: str) -> View | None:
    row = tx.one(Q.view, id=view_id)
    return _view(row) if row else None


def update(tx: Tx, view: View) -> None:
    tx.run(
        Q.update_view,
        id=view.id,
        name=view.name,
        state=msgspec.json.encode(view.state).decode(),
        shared=int(view.shared),
        updated_us=view.updated_us,
    )


def delete(tx: Tx, view_id: str) -> None:
    tx.run(Q.delete_view, id=view_id)


def _view(row: tuple[Any, ...]) -> View:
    view_id, name, page, experiment_id, state, owner_id, owner, shared, updated_us = row
    kept: dict[str, Any] = msgspec.json.decode(state)
    return View(view_id, name, page, experiment_id, kept, owner_id, owner, bool(shared), updated_us)
