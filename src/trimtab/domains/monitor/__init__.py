"""Monitor: what endpoints predicted, how far their inputs drifted, and how good they really were."""

from trimtab.domains.monitor.service import MonitorService

__all__ = ["MonitorService"]
