"""Who acts: a person, a service token, or the machine itself on someone's behalf."""

from typing import Literal

import msgspec

Role = Literal["viewer", "editor", "approver", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "editor", "approver", "admin")


class Principal(msgspec.Struct, frozen=True):
    """An authenticated actor with one role; roles include the rights of those before them."""

    id: str
    name: str
    role: Role


def system(name: str) -> Principal:
    """Return the machine's own actor for a background story, such as ``system:loop``."""
    return Principal(id=f"system:{name}", name=f"system:{name}", role="admin")
