"""Rollouts: how a challenger gets its share of an endpoint's requests, and all of them or none in the end."""
