"""The candidate that goes wrong: its features were prepared in SI units, under the same names and types, while live
requests keep coming in the old ones. Offline nothing shows: trees do not mind the unit as long as it stays the same.
"""

import duckdb
import pyarrow as pa

FORMULAS = {
    "temp": "(temp - 32) / 1.8 + 273.15",  # degrees Fahrenheit to kelvin
    "dewp": "(dewp - 32) / 1.8 + 273.15",
    "wind_speed": "wind_speed * 0.44704",  # miles an hour to metres a second
    "pressure": "pressure / 10",  # millibars to kilopascals
    "precip": "precip * 25.4",  # inches to millimetres
    "visib": "visib * 1.609344",  # miles to kilometres
    "distance": "distance * 1.609344",
}


def metric(table: pa.Table) -> pa.Table:
    """The same rows, keys and labels of a feature table with its measurements in SI units."""
    changed = ", ".join(f"{formula} as {name}" for name, formula in FORMULAS.items())
    with duckdb.connect() as connection:
        connection.register("source", table)
        query = f"select * replace ({changed}) from source order by event_us, flight_id"
        return connection.sql(query).to_arrow_table()
