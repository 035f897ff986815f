"""Why a model is not compiled."""


class Unsupported(Exception):
    """Nothing here turns such a model into a graph; the message says what about it."""
