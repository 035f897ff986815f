import datetime as dt

import pyarrow as pa
import pyarrow.compute as pc

from trimtab.demo import flights
from trimtab.demo.flights import DAY_US, HOUR_US


def us(*when: int) -> int:
    return int(dt.datetime(*when, tzinfo=dt.UTC).timestamp() * 1_000_000)


def test_the_raw_tables_are_whole(raw: dict[str, pa.Table]) -> None:
    assert {name: source.num_rows for name, source in raw.items()} == {
        "flights": 336_776,
        "weather": 26_115,
        "planes": 3_322,
    }


def test_impossible_rows_are_set_aside_with_a_reason(raw: dict[str, pa.Table]) -> None:
    kept, aside = flights.validate_rows("weather", raw["weather"])
    assert kept.num_rows + aside.num_rows == raw["weather"].num_rows
    assert aside.select(["origin", "wind_speed", "reason"]).to_pylist() == [
        {"origin": "EWR", "wind_speed": 1048.36058, "reason": "wind is below 150 mph"}
    ]
    assert "reason" not in kept.column_names
    _, helicopters = flights.validate_rows("planes", raw["planes"])
    assert helicopters.num_rows == 40
    _, odd = flights.validate_rows("flights", raw["flights"])
    assert odd.column("distance").to_pylist() == [17]


def test_weather_is_joined_only_once_it_is_known() -> None:
    at = dt.datetime(2013, 5, 1, 12, tzinfo=dt.UTC)
    leaving = pa.table({"origin": ["EWR", "EWR", "JFK"], "time_hour": [at] * 3, "minute": [0, 30, 0]})
    hours = [at - dt.timedelta(hours=ago) for ago in (3, 2, 1)]
    weather = pa.table(
        {
            "origin": ["EWR"] * 3,
            "time_hour": hours,
            **{
                name: [3.0, 2.0, 1.0]
                for name in ("temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib")
            },
        }
    )
    joined = flights.join_weather(leaving, weather).sort_by("minute")
    # At 11:00, an hour before departure, the hour from 10:00 is just over; the one from 11:00 is not.
    assert sorted(joined.column("temp").to_pylist(), key=str) == [2.0, 2.0, None]


def test_one_row_a_flight_in_order_of_departure(table: pa.Table) -> None:
    assert table.num_rows == 336_775
    assert table.column_names == ["flight_id", "event_us", "label_available_us", *flights.FEATURES, "late"]
    assert len(pc.unique(table["flight_id"])) == table.num_rows
    times = table["event_us"].to_numpy()
    assert (times[1:] >= times[:-1]).all()
    first = table.slice(0, 1).to_pylist()[0]
    assert first["flight_id"] == "UA1545-EWR-20130101-0515"
    assert first["event_us"] == us(2013, 1, 1, 10, 15)
    assert (first["carrier"], first["dest"], first["sched_dep_hour"], first["weekday"]) == (
        "UA",
        "IAH",
        5.25,
        2,
    )
    assert first["late"] == 0


def test_labels_come_days_later_and_not_for_flights_that_never_arrived(table: pa.Table) -> None:
    wait = table["label_available_us"].to_numpy() - table["event_us"].to_numpy()
    assert wait.min() > 3 * DAY_US
    assert wait.max() < 6 * DAY_US
    assert table["late"].null_count == 9_429
    rows = flights.labelled(table, known_by_us=us(2013, 4, 1))
    assert rows["late"].null_count == 0
    assert rows["label_available_us"].to_numpy().max() <= us(2013, 4, 1)
    assert rows["event_us"].to_numpy().max() < us(2013, 3, 29)


def test_old_weather_counts_as_missing(table: pa.Table) -> None:
    # The last observation is of 30 December; nothing is known of the weather of New Year's Eve.
    last_day = flights.between(table, from_us=us(2013, 12, 31, 10), to_us=us(2014, 1, 2))
    assert last_day["temp"].null_count == last_day.num_rows


def test_between_is_half_open(table: pa.Table) -> None:
    noon = us(2013, 6, 1, 12)
    hour = flights.between(table, from_us=noon, to_us=noon + HOUR_US)
    assert hour.num_rows > 20
    assert hour["event_us"].to_numpy().min() >= noon
    assert hour["event_us"].to_numpy().max() < noon + HOUR_US


def test_whole_days_are_held_out_and_the_same_each_time(table: pa.Table) -> None:
    april, june = us(2013, 4, 1), us(2013, 6, 1)
    learnt, tested = flights.split(table, known_by_us=april)
    later, tested_later = flights.split(table, known_by_us=june)
    days = [
        {(at - 5 * HOUR_US) // DAY_US for at in part["event_us"].to_pylist()} for part in (learnt, tested)
    ]
    assert not days[0] & days[1]
    assert len(days[0]) == 65
    assert len(days[1]) == 15
    assert all(day % 4 == 0 for day in days[1])
    assert learnt["label_available_us"].to_numpy().max() <= april
    # What one version is evaluated on, no other has learnt from either.
    keys = [set(part["flight_id"].to_pylist()) for part in (learnt, tested, later, tested_later)]
    assert not (keys[0] | keys[2]) & (keys[1] | keys[3])
    assert keys[0] < keys[2]
    assert min(tested_later["event_us"].to_pylist()) >= june - 60 * DAY_US
