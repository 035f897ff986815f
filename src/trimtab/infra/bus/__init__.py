"""The outbox: an event is stored in the transaction that caused it and delivered after that commits."""

from trimtab.infra.bus.outbox import Bus, Handler

__all__ = ["Bus", "Handler"]
