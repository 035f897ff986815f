"""The policy that Ray Serve is given adds replicas while calls queue, and takes them back one at a time."""

from types import SimpleNamespace
from typing import Any

import pytest

from trimtab.serving.ray_serve.scaling import Load, QueueDelay


def context(present: int, *, delay_ms: float | None, busy: float = 0.0, requests: float = 1.0) -> Any:
    told: dict[str, Any] | None = None
    if delay_ms is not None:
        replicas = range(present)
        told = {"delay_ms": dict.fromkeys(replicas, delay_ms), "busy": dict.fromkeys(replicas, busy)}
    return SimpleNamespace(target_num_replicas=present, total_num_requests=requests, aggregated_metrics=told)


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (context(1, delay_ms=50, busy=1), 2),
        (context(2, delay_ms=50, busy=1), 3),  # what is busy all of the time may need more than can be seen
        (context(3, delay_ms=50, busy=0.2), 4),
        (context(2, delay_ms=5, busy=0.9), 2),
        (context(4, delay_ms=5, busy=0.1), 3),
        (context(1, delay_ms=0, busy=0, requests=0.5), 1),
        (context(1, delay_ms=0, busy=0, requests=0), 0),
        (context(2, delay_ms=None, requests=10), 1),
        (context(1, delay_ms=None, requests=100), 4),
        (context(1, delay_ms=None, requests=0), 1),
        (context(5, delay_ms=None, requests=0), 1),  # nobody asks any more
        (context(0, delay_ms=None, requests=0), 0),
    ],
)
def test_the_policy(state: Any, wanted: int) -> None:
    assert QueueDelay(20.0, 32.0).wanted(state) == wanted


def test_it_decides_for_every_deployment_of_the_application() -> None:
    states = {"router": context(1, delay_ms=None, requests=70), "v": context(1, delay_ms=1, busy=0.1)}
    assert QueueDelay()(states) == ({"router": 3, "v": 1}, {})


def test_calls_one_after_another_queue_for_nothing() -> None:
    load = Load()
    for at in range(100):
        load.ended(at * 0.05 + 0.02, load.began(at * 0.05))
    told = load.told(5.0)
    assert told["delay_ms"] == 0
    assert told["busy"] == pytest.approx(0.4, abs=0.02)


def test_of_four_at_once_three_quarters_is_waiting() -> None:
    load = Load()
    for at in range(100):
        started = [load.began(at * 0.05) for _ in range(4)]
        for one in started:
            load.ended(at * 0.05 + 0.05, one)
    for _ in range(4):
        load.began(5.0)
    told = load.told(5.0)
    assert told["delay_ms"] == pytest.approx(37.5, rel=0.05)
    assert told["busy"] == pytest.approx(1.0, rel=0.05)


def test_old_calls_are_forgotten() -> None:
    load = Load()
    load.ended(1.0, load.began(0.0))
    assert load.told(1.0)["busy"] > 0
    assert load.told(10.0) == {"delay_ms": 0.0, "busy": 0.0}
    load.began(10.0)
    assert load.told(11.0)["busy"] == 1.0  # the first one of all has not come back yet
