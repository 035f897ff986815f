"""Fewer points that look the same: `lttb` for charts, `minmax` where no extreme may be lost."""
