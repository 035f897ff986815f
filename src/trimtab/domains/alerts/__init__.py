"""Alerts: what needs a person's eye, the rules that find it, and the channels that tell people."""

from trimtab.domains.alerts.service import AlertService

__all__ = ["AlertService"]
