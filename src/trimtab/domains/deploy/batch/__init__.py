"""Batch predictions: a registered model over a whole data version, written as the next version of another dataset."""
