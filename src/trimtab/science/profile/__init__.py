"""What is in a table: one pass over its columns, mergeable over chunks, some kilobytes in the end.

`table.profile(data)` for a whole table; `column` to go chunk by chunk. Underneath: `digest` (quantiles),
`distinct` (how many values) and `frequent` (which ones).
"""
