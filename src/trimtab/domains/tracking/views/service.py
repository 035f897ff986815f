"""Keeps views of pages: everyone has their own, and may show some to all."""

from typing import Any

import msgspec

from trimtab.domains.govern import GovernService
from trimtab.domains.tracking.errors import ViewNotFound, ViewNotYours
from trimtab.domains.tracking.views import store
from trimtab.domains.tracking.views.model import View, check_view
from trimtab.infra.db import Database, Tx
from trimtab.kernel import refs
from trimtab.kernel.ids import new_id
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

MOST_LISTED = 500


class ViewService:
    """Saved views. Anyone who may read keeps their own; showing one to all takes the right to write."""

    def __init__(self, db: Database, govern: GovernService) -> None:
        self._db = db
        self.govern = govern

    def list(self, who: Principal, *, page: str, experiment_id: str = "") -> list[View]:
        """Return the caller's own views of a page and those that are shared, by name."""
        self.govern.permit(who, "read", "views")
        with self._db.read() as tx:
            return store.visible(
                tx, page=page, experiment_id=experiment_id, owner_id=who.id, limit=MOST_LISTED
            )

    def create(
        self,
        who: Principal,
        *,
        name: str,
        page: str,
        state: dict[str, Any],
        experiment_id: str = "",
        shared: bool = False,
    ) -> View:
        """Keep a view; raises Invalid."""
        self.govern.permit(who, "write" if shared else "read", "views")
        check_view(name, page, state)
        view = View(
            new_id("vw_"),
            name,
            page,
            experiment_id,
            state,
            who.id,
            who.name,
            shared=shared,
            updated_us=now_us(),
        )
        with self._db.write() as tx:
            store.insert(tx, view)
            detail = {"name": name, "page": page, "shared": shared}
            self.govern.audit(tx, who, "tracking.view.create", refs.make("view", view.id), detail=detail)
        return view

    def update(
        self,
        who: Principal,
        view_id: str,
        *,
        name: str | None = None,
        state: dict[str, Any] | None = None,
        shared: bool | None = None,
    ) -> View:
        """Change one's own view; raises ViewNotFound, ViewNotYours and Invalid."""
        self.govern.permit(who, "write" if shared else "read", "views")
        with self._db.write() as tx:
            tx.lock(f"tracking.view:{view_id}")
            known = self._own(tx, who, view_id)
            view = msgspec.structs.replace(
                known,
                name=known.name if name is None else name,
                state=known.state if state is None else state,
                shared=known.shared if shared is None else shared,
                updated_us=now_us(),
            )
            check_view(view.name, view.page, view.state)
            store.update(tx, view)
        return view

    def delete(self, who: Principal, view_id: str) -> None:
        """Forget one's own view; raises ViewNotFound and ViewNotYours."""
        self.govern.permit(who, "read", "views")
        with self._db.write() as tx:
            view = self._own(tx, who, view_id)
            store.delete(tx, view_id)
            detail = {"name": view.name, "page": view.page}
            self.govern.audit(tx, who, "tracking.view.delete", refs.make("view", view_id), detail=detail)

    def _own(self, tx: Tx, who: Principal, view_id: str) -> View:
        view = store.get(tx, view_id)
        if view is None or (view.owner_id != who.id and not view.shared):
            raise ViewNotFound(f"There is no view {view_id[:100]}.")
        if view.owner_id != who.id and who.role != "admin":
            raise ViewNotYours(f"The view {view.name!r} belongs to {view.owner}; save a copy of your own.")
        return view
