"""Quotas by calendar day or month, counted in memory and kept in a small file.

The file is written about once a second and when the gateway ends, so that a killed gateway forgets the requests of its
last second, in favour of the callers. Each gateway counts for itself.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from trimtab.kernel.time import SECOND_US
from trimtab.serving.files import write_atomically
from trimtab.serving.policies.settings import Period

_MOST_METERS = 100_000


class Meter(msgspec.Struct):
    """How many requests one caller, or one endpoint, has used of the period that ends at ``ends_us``."""

    ends_us: int
    used: int


def period_end_us(now_us: int, period: Period) -> int:
    """Return when the present day or month ends, by UTC.

    >>> period_end_us(0, "day") == 86_400 * 1_000_000
    True
    """
    now = datetime.fromtimestamp(now_us // SECOND_US, UTC)
    today = now.replace(hour=0, minute=0, second=0)
    if period == "day":
        end = today + timedelta(days=1)
    else:
        end = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    return int(end.timestamp()) * SECOND_US


class Ledger:
    """Every meter of a gateway, by a name that says endpoint, caller and period."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._meters: dict[str, Meter] = {}
        self._written = b""
        self.problem = ""
        if path.exists():
            try:
                self._meters = msgspec.json.decode(path.read_bytes(), type=dict[str, Meter])
            except (msgspec.MsgspecError, OSError) as error:
                self.problem = f"{path} could not be read: {error}"  # counting begins anew; requests go on

    def meter(self, name: str, period: Period, now_us: int) -> Meter:
        """Return the meter of the present period."""
        name = f"{name}|{period}"
        meter = self._meters.get(name)
        if meter is None or meter.ends_us <= now_us:
            if len(self._meters) >= _MOST_METERS:
                self._meters = {key: one for key, one in self._meters.items() if one.ends_us > now_us}
            meter = self._meters[name] = Meter(period_end_us(now_us, period), 0)
        return meter

    def save(self, now_us: int) -> None:
        """Write what is counted, where anything changed; a full disk is noted and stops nobody."""
        content = msgspec.json.encode(
            {name: meter for name, meter in tuple(self._meters.items()) if meter.ends_us > now_us}
        )
        if content == self._written or (content == b"{}" and not self._path.exists()):
            return
        try:
            write_atomically(self._path, content)
        except OSError as error:
            self.problem = str(error)
            return
        self._written, self.problem = content, ""
