"""A model that is plain Python: a scorecard over the twelve features of a flight, row by row."""

from math import exp

import numpy as np

BASE = -1.9
CARDS = (
    (0, ((7.0, -0.9), (10.0, -0.5), (13.0, -0.1), (16.0, 0.3), (19.0, 0.7), (24.0, 0.8))),
    (2, ((1.5, 0.05), (3.5, 0.0), (5.5, 0.2), (6.5, -0.25), (8.0, -0.05))),
    (3, ((400.0, 0.1), (1200.0, 0.0), (6000.0, -0.15))),
    (4, ((12.0, -0.1), (20.0, 0.05), (200.0, 0.15))),
    (5, ((5.0, -0.05), (15.0, 0.05), (70.0, 0.1))),
    (8, ((50.0, -0.2), (75.0, 0.05), (101.0, 0.45))),
    (9, ((8.0, -0.05), (16.0, 0.05), (200.0, 0.3))),
    (10, ((0.001, -0.05), (0.05, 0.6), (100.0, 1.0))),
    (11, ((3.0, 0.7), (9.0, 0.3), (11.0, -0.02))),
)
"""For each feature by place: points of the first bin whose upper end is above the value."""


def chance(row: list[float]) -> float:
    """The chance that one flight arrives late."""
    score = BASE
    for place, bins in CARDS:
        value = row[place]
        for end, points in bins:
            if value < end:
                score += points
                break
    return 1.0 / (1.0 + exp(-score))


def chances(rows: np.ndarray) -> np.ndarray:
    """The chance of each row of an array of shape (rows, 12)."""
    return np.array([chance(row) for row in np.asarray(rows).tolist()])
