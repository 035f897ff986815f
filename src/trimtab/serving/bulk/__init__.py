"""Many rows at once: one model in a process of its own, which takes Arrow batches over a socket and answers in Arrow."""
