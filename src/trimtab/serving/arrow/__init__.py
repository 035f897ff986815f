"""Arrow's IPC format, read and written in place: tables of plain columns without a library that costs 50 MB a process.

Bounds of all lengths and offsets are checked before anything is read or allocated by them, so that no body can do more
than be refused. What is compressed, encoded by a dictionary or Parquet goes to a process of its own (`foreign`).

The format: https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
"""
