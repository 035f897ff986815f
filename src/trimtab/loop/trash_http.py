"""The HTTP face of the trash, of legal holds, and of the collection of garbage."""

import msgspec

from trimtab.domains.govern import GovernService
from trimtab.domains.govern.model import Hold
from trimtab.infra.http import Request, Route, route
from trimtab.kernel.errors import TooLarge
from trimtab.kernel.pages import Page
from trimtab.loop.gc import Collector
from trimtab.loop.model import Collection
from trimtab.loop.trash import MOST_AT_ONCE, TrashItem, TrashStory


class TrashQuery(msgspec.Struct):
    kind: str | None = None
    limit: int | None = None
    cursor: str | None = None


class Chosen(msgspec.Struct, forbid_unknown_fields=True):
    """References as the list of the trash gives them."""

    refs: list[str]


class Done(msgspec.Struct):
    refs: list[str]


class PlaceHold(msgspec.Struct, forbid_unknown_fields=True):
    reason: str


class ReleaseQuery(msgspec.Struct):
    reason: str = ""


class StartCollection(msgspec.Struct, forbid_unknown_fields=True):
    """``older_than_us`` is how long a thing must have been in the trash; the setting ``trash_days`` where left out."""

    dry_run: bool = False
    older_than_us: int | None = None
    compact: bool = False


class ListQuery(msgspec.Struct):
    limit: int | None = None


def routes(trash: TrashStory, govern: GovernService, collector: Collector) -> list[Route]:
    return [*_trash(trash), *_holds(trash, govern), *_collections(collector)]


def _trash(trash: TrashStory) -> list[Route]:
    @route("GET", "/api/v1/trash", query=TrashQuery, returns=Page[TrashItem], tags=["trash"])
    def list_trash(request: Request, query: TrashQuery) -> Page[TrashItem]:
        """List what was deleted and can come back, what was deleted last first."""
        return trash.items(request.who, kind=query.kind, limit=query.limit, cursor=query.cursor)

    @route("POST", "/api/v1/trash/restore", body=Chosen, returns=Done, tags=["trash"])
    def restore_trash(request: Request, body: Chosen) -> Done:
        """Bring things back, one after the other up to the first that cannot."""
        for ref in _some(body):
            trash.restore(request.who, ref)
        return Done(body.refs)

    @route("POST", "/api/v1/trash/purge", body=Chosen, returns=Done, tags=["trash"])
    def purge_trash(request: Request, body: Chosen) -> Done:
        """Remove things for good before their time; their bytes go with the next collection."""
        for ref in _some(body):
            trash.purge(request.who, ref)
        return Done(body.refs)

    return [list_trash, restore_trash, purge_trash]


def _holds(trash: TrashStory, govern: GovernService) -> list[Route]:
    @route("GET", "/api/v1/holds", returns=Page[Hold], tags=["trash"])
    def list_holds(request: Request) -> Page[Hold]:
        """List the legal holds."""
        return Page(govern.holds(request.who))

    @route("PUT", "/api/v1/holds/{ref:path}", body=PlaceHold, returns=Hold, tags=["trash"])
    def place_hold(request: Request, body: PlaceHold) -> Hold:
        """Keep an experiment, run, logged model, model, version or data set from ever being purged."""
        return trash.hold(request.who, request.path["ref"], reason=body.reason)

    @route("DELETE", "/api/v1/holds/{ref:path}", query=ReleaseQuery, tags=["trash"])
    def release_hold(request: Request, query: ReleaseQuery) -> None:
        """End a legal hold."""
        govern.release(request.who, request.path["ref"], reason=query.reason)

    return [list_holds, place_hold, release_hold]


def _collections(collector: Collector) -> list[Route]:
    @route("POST", "/api/v1/gc", body=StartCollection, returns=Collection, status=202, tags=["trash"])
    def start_gc(request: Request, body: StartCollection) -> Collection:
        """Purge what lay in the trash long enough and return the space, or find out what that would do."""
        return collector.start(
            request.who, dry_run=body.dry_run, older_than_us=body.older_than_us, compact=body.compact
        )

    @route("GET", "/api/v1/gc", query=ListQuery, returns=Page[Collection], tags=["trash"])
    def list_gc(request: Request, query: ListQuery) -> Page[Collection]:
        """List collections, the newest first."""
        return Page(collector.list(request.who, limit=query.limit))

    @route("GET", "/api/v1/gc/{gc_id}", returns=Collection, tags=["trash"])
    def get_gc(request: Request) -> Collection:
        """Return a collection and what it did."""
        return collector.get(request.who, request.path["gc_id"])

    return [start_gc, list_gc, get_gc]


def _some(body: Chosen) -> list[str]:
    if len(body.refs) > MOST_AT_ONCE:
        raise TooLarge(f"Name at most {MOST_AT_ONCE} things at a time.")
    return body.refs
