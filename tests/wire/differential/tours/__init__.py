"""What people do with the real client, to be recorded: each module is a command for ``record``."""
