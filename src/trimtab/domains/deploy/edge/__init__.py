"""Edge: signed bundles with which devices predict without a server, and what they bring back when they have one."""
