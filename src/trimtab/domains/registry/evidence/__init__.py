"""On what evidence a version stands: estimates with intervals, gates, scans, and versions side by side."""
