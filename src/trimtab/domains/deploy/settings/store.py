"""The table of endpoints' settings."""

import msgspec

from trimtab.domains.deploy.settings.model import EndpointSettings
from trimtab.infra.db import Tx, load

Q = load(__package__ or "")


class Stored(msgspec.Struct, frozen=True):
    """The settings of an endpoint, and who changed them last."""

    endpoint: str
    settings: EndpointSettings
    updated_us: int
    updated_by: str


def settings(tx: Tx, *, endpoint: str) -> Stored | None:
    row = tx.one(Q.settings, endpoint=endpoint)
    return _stored(*row) if row else None


def all_settings(tx: Tx) -> list[Stored]:
    return [_stored(*row) for row in tx.all(Q.all_settings)]


def put_settings(tx: Tx, stored: Stored) -> None:
    tx.run(
        Q.put_settings,
        endpoint=stored.endpoint,
        settings=msgspec.json.encode(stored.settings).decode(),
        updated_us=stored.updated_us,
        updated_by=stored.updated_by,
    )


def delete_settings(tx: Tx, *, endpoint: str) -> None:
    tx.run(Q.delete_settings, endpoint=endpoint)


def _stored(endpoint: str, text: str, updated_us: int, updated_by: str) -> Stored:
    return Stored(endpoint, msgspec.json.decode(text, type=EndpointSettings), updated_us, updated_by)
