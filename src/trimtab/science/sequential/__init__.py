"""Always-valid inference: intervals, tests and alarms whose error rates hold however often one looks.

Import the algorithm: `difference` (two versions under split traffic), `quantile` (latency), `divergence`
(distribution of predictions), `change` (alarm on a running mean) and `judge` (all of them as the verdict of a
rollout).
"""
