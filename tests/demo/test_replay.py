import asyncio
import json
from itertools import pairwise

import pyarrow as pa
import pytest

from tests.demo.inference import Inference, running
from trimtab.demo import flights
from trimtab.demo.clock import Clock
from trimtab.demo.flights import DAY_US, HOUR_US
from trimtab.demo.replay import LABELS_EVERY_US, Replay
from trimtab.demo.traffic import Traffic

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def days(table: pa.Table) -> pa.Table:
    start = 1_364_774_400_000_000  # 1 April 2013
    return flights.between(table, from_us=start, to_us=start + 2 * DAY_US)


def test_a_request_is_an_airport_and_an_hour(days: pa.Table) -> None:
    made = list(Traffic(days))
    assert [one.event_us for one in made] == sorted(one.event_us for one in made)
    origins = days["origin"].to_pylist()
    assert len({(origins[one.rows[0]], one.event_us) for one in made}) == len(made)
    assert sorted(row for one in made for row in one.rows) == list(range(days.num_rows))
    for one in made[:5]:
        inputs = {each["name"]: each for each in json.loads(one.body)["inputs"]}
        assert list(inputs) == list(flights.FEATURES)
        assert inputs["origin"]["data"] == [origins[one.rows[0]]] * len(one.rows)
        assert inputs["distance"]["data"] == [days["distance"][row].as_py() for row in one.rows]
        assert one.flights == [days["flight_id"][row].as_py() for row in one.rows]
        assert one.labels == [days["late"][row].as_py() for row in one.rows]
        for row in one.rows:
            assert one.event_us <= days["event_us"][row].as_py() < one.event_us + HOUR_US


def test_a_request_is_one_flight_where_that_is_wished(days: pa.Table) -> None:
    traffic = Traffic(days)
    made = [next(traffic)]
    traffic.by_flight = True
    made += [next(traffic) for _ in range(60)]
    traffic.by_flight = False
    made += traffic
    assert sorted(row for one in made for row in one.rows) == list(range(days.num_rows))
    assert [one.event_us for one in made] == sorted(one.event_us for one in made)
    single = [one for one in made if one.event_us % HOUR_US]
    assert len(single) > 40
    assert all(one.event_us == days["event_us"][one.rows[0]].as_py() for one in single)


async def test_everything_is_sent_in_order_and_labels_follow(days: pa.Table) -> None:
    made = list(Traffic(days))
    async with running(Inference()) as server:
        replay = Replay(made, url=server.url, endpoint="flights", days_per_s=4.0)
        progress = await replay.run()
    assert progress.sent == progress.answered == len(made)
    assert progress.failed == 0
    assert progress.problems == []
    assert progress.versions == {"3": len(made)}
    assert progress.rows == days.num_rows
    assert sorted(server.event_us) == [one.event_us for one in made]
    expected = days.num_rows - days["late"].null_count
    assert progress.labels == len(server.feedback) == expected
    # Each label reaches the row that it belongs to, and says when it became known.
    place = {one.prediction_id: one for one in replay.served}
    for item in server.feedback:
        prediction, _, row = item["prediction_id"].partition("/")
        at = place[prediction].rows[int(row)]
        assert item["label"] == days["late"][at].as_py()
        assert item["event_time"] == days["label_available_us"][at].as_py()
    known = [item["event_time"] for item in server.feedback]
    assert all(later >= earlier - LABELS_EVERY_US for earlier, later in pairwise(known))
    assert replay.latency_ms(0.5) <= replay.latency_ms(0.99)


async def test_failures_are_counted_and_never_hidden(days: pa.Table) -> None:
    made = list(Traffic(days))[:30]
    server = Inference()
    server.status_of = lambda at: 500 if at in (3, 4) else 200
    server.feedback_status_of = lambda number: 503 if number == 1 else 200
    async with running(server):
        progress = await Replay(made, url=server.url, endpoint="flights", days_per_s=8.0).run()
    assert progress.sent == len(server.requests) == 30
    assert progress.failed == 2
    assert progress.answered == 28
    assert progress.label_requests_failed == 1
    assert progress.labels_resent > 0
    assert progress.labels == len(server.feedback)
    assert [problem[:4] for problem in progress.problems] == ["500:", "500:", "503:"]


async def test_without_a_server_every_request_is_a_failure(days: pa.Table) -> None:
    made = list(Traffic(days))[:5]
    progress = await Replay(made, url="http://127.0.0.1:9", endpoint="flights", days_per_s=8.0).run()
    assert (progress.sent, progress.failed, progress.labels) == (5, 5, 0)


async def test_a_slow_server_holds_the_clock_back(days: pa.Table) -> None:
    made = list(Traffic(days))[:40]
    server = Inference()
    server.delay_s = 0.1
    async with running(server):
        replay = Replay(made, url=server.url, endpoint="flights", days_per_s=8.0, in_flight=4)
        progress = await replay.run()
    assert progress.answered == 40
    assert progress.behind_s > 0.3


async def test_the_clock_can_be_held_hurried_and_stopped() -> None:
    clock = Clock(days_per_s=1.0)
    clock.begin(0)
    clock.hold_at(DAY_US // 100)
    assert await clock.reach(DAY_US // 100)
    await asyncio.sleep(0.05)
    assert clock.now_us == DAY_US // 100
    waiting = asyncio.create_task(clock.reach(1000 * DAY_US))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    clock.hold_at(None)
    clock.set_pace(0.0)
    held = clock.now_us
    await asyncio.sleep(0.02)
    assert clock.now_us == held < DAY_US
    clock.set_pace(100_000.0)
    assert await waiting
    later = asyncio.create_task(clock.reach(10**9 * DAY_US))
    await asyncio.sleep(0)
    clock.stop()
    assert not await later


async def test_a_paused_replay_goes_on_where_it_was(days: pa.Table) -> None:
    made = list(Traffic(days))
    middle = made[0].event_us + DAY_US // 2
    async with running(Inference()) as server:
        replay = Replay(made, url=server.url, endpoint="flights", days_per_s=20.0)
        replay.clock.hold_at(middle)
        thread = replay.start()
        while replay.clock.now_us != middle:  # noqa: ASYNC110 - the clock is another thread's
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        sent = replay.progress.sent
        assert 0 < sent == sum(one.event_us <= middle for one in made)
        replay.clock.hold_at(None)
        await asyncio.to_thread(thread.join)
    assert replay.progress.answered == len(made)
