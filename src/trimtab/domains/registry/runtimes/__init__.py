"""Runtimes: the Python and the packages in which a version is loaded, the server's own or an environment made for it."""
