"""Webhooks of the registry: who is told of new models, versions, tags and aliases, as MLflow's server tells them."""
