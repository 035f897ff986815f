"""Deploy: endpoints that serve registered models, their traffic, rollouts and rollbacks."""

from trimtab.domains.deploy.service import DeployService

__all__ = ["DeployService"]
