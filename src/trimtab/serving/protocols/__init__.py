"""Wire protocols as pure functions: bytes to a Batch, and a model's outputs to bytes."""
