"""Where calls of user code run: an executor opens a session of processes, which lives as long as one pipeline run."""

from collections.abc import Sequence

from trimtab.infra.executors.port import Call, Executor, Outcome, Session

__all__ = ["Call", "Executor", "Outcome", "Session", "connect"]


def connect(url: str, *, preload: Sequence[str] = ()) -> Executor:
    """Return the executor of a ``local://`` or ``local://PROCESSES`` URL; raises Invalid for any other.

    ``preload`` names modules that every process should have imported before its first call.
    """
    scheme, _, rest = url.partition("://")
    match scheme:
        case "local":
            from trimtab.infra.executors.local import LocalExecutor

            return LocalExecutor(processes=_processes(rest), preload=preload)
        case _:
            from trimtab.kernel.errors import Invalid, did_you_mean

            raise Invalid(
                f"No executor for {scheme}:// (local).{did_you_mean(scheme, ['local'])}", field="executor"
            )


def _processes(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1024:
        from trimtab.kernel.errors import Invalid

        raise Invalid(f"local://{text} does not name a number of processes (1 to 1024).", field="executor")
    return int(text)
