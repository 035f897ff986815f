"""Public contract suites: whoever writes an adapter runs the suite of its port against it."""
