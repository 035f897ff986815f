"""Evaluation data sets: inputs with the answers that are expected of them."""
