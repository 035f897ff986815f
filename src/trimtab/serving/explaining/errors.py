"""What can stand against an explanation."""

from trimtab.kernel.errors import Invalid


class Unexplained(Invalid):
    """The model has no exact explanations."""

    code = "unexplained"
