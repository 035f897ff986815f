"""Registry: named models, their immutable versions, and the aliases that say which version is meant."""

from trimtab.domains.registry.service import RegistryService

__all__ = ["RegistryService"]
