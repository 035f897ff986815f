"""How good is a model, and is another one better: metrics with intervals, and paired comparisons on the same
rows.

`classification` (two classes), `regression`; `compare` for champion against challenger.
"""
