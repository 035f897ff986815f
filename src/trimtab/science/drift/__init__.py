"""Has the data moved? Sketches of a reference and of windows, distances between them, and two kinds of
decision.

`sketch` counts a table into the bins of its reference (one pass, some kB, mergeable); `distances` has PSI,
Jensen- Shannon, Kolmogorov-Smirnov, Wasserstein and chi-squared on such counts; `window` decides on one
window (effect size and evidence); `alarm` watches windows as they come and alarms with a stated false-alarm
rate.
"""
