"""What can go wrong when lineage is asked for."""

from trimtab.kernel.errors import Invalid


class BadRef(Invalid):
    code = "bad-ref"
