"""Reactions of traces to what others announce."""

from typing import cast

from trimtab.domains.traces.service import purge_experiment
from trimtab.domains.tracking.events import Purged
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database
from trimtab.kernel.events import EventRecord


def register(bus: Bus, db: Database) -> None:
    """Have the traces of an experiment end with it."""

    def on_purged(record: EventRecord) -> None:
        refs = cast("list[str]", record.data["refs"])
        for ref in refs:
            kind, _, name = ref.partition(":")
            while kind == "experiment":
                with db.write() as tx:
                    if not purge_experiment(tx, experiment_id=name):
                        break

    bus.subscribe(Purged, "traces.purged", on_purged)
