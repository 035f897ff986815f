"""Fewer points that look the same: `minmax` loses no extreme."""
