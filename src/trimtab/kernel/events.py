"""Facts that domains announce after they happened; each class names its kind with ``tag``."""

import msgspec


class Event(msgspec.Struct, frozen=True, tag_field="kind"):
    """A fact in the past tense, such as ``RunFinished`` with the kind ``tracking.run_finished``."""

    @classmethod
    def kind(cls) -> str:
        """Return the stable name under which the event is stored and delivered."""
        tag = cls.__struct_config__.tag
        assert isinstance(tag, str), f"{cls.__name__} needs an explicit tag"
        return tag


class EventRecord(msgspec.Struct, frozen=True):
    """An event as it was stored: its place in the order of all events, and who caused it when."""

    seq: int
    id: str
    kind: str
    at_us: int
    subject: str
    actor: str
    data: dict[str, object]
