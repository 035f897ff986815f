"""Serves the built browser UI; the face is `ui_app`."""

from trimtab.web.ui import ui_app

__all__ = ["ui_app"]
