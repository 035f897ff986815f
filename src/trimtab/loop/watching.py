"""What the stories ask of an endpoint's monitors: to follow its champion, or to be able to sound again."""

from trimtab.domains.monitor import MonitorService
from trimtab.domains.monitor.model import Baseline
from trimtab.kernel.who import system

WHO = system("loop")


def watch_again(monitors: MonitorService, endpoint: str) -> None:
    """Begin the alarms anew after an episode that changed nothing: one that has sounded stays silent until then."""
    for monitor in monitors.monitors(WHO, endpoint=endpoint):
        if monitor.state == "alarm":
            monitors.set_reference(WHO, monitor.name)


def follow(
    monitors: MonitorService,
    endpoint: str,
    *,
    champion: str,
    reference: str | None,
    metrics: dict[str, float] | None,
) -> None:
    """Have the monitors watch a new champion, against the data that it was trained on and what its gate measured."""
    for monitor in monitors.monitors(WHO, endpoint=endpoint):
        monitors.set_reference(
            WHO, monitor.name, reference=reference, baseline=baseline_of(metrics or {}), champion=champion
        )


def baseline_of(metrics: dict[str, float]) -> Baseline | None:
    """Return what a monitor holds a champion to, from the metrics of its gate; None where it has no Brier score."""
    if "brier" not in metrics:
        return None
    shown = {name: value for name, value in metrics.items() if name != "clustering"}
    return Baseline(brier=metrics["brier"], metrics=shown, clustering=metrics.get("clustering", 0.0))
