"""Reads the named statements of a ``queries.sql`` file, with the rare variant for PostgreSQL."""

import re
from collections.abc import Iterator
from functools import lru_cache

_HEADER = re.compile(r"^-- name: (?P<name>[a-z_0-9]+)(?: @(?P<dialect>postgresql))?[ \t]*$", re.MULTILINE)
_PARAMETER = re.compile(r"('(?:[^']|'')*')|(?<!:):([a-z_][a-z_0-9]*)|(%)")


class Query:
    """One statement with ``:name`` parameters, in each dialect."""

    __slots__ = ("name", "postgresql", "sqlite")

    def __init__(self, name: str, sqlite: str, postgresql: str) -> None:
        self.name = name
        self.sqlite = sqlite
        self.postgresql = postgresql

    def with_(self, **slots: str) -> "Query":
        """Fill the ``{where}``-like slots with fragments that hold bound parameters only."""
        sqlite, postgresql = self.sqlite, self.postgresql
        for slot, fragment in slots.items():
            sqlite = sqlite.replace("{" + slot + "}", fragment)
            postgresql = postgresql.replace("{" + slot + "}", pyformat(fragment))
        return Query(self.name, sqlite, postgresql)

    def __repr__(self) -> str:
        return f"Query({self.name})"


class Queries:
    """The statements of one file as attributes."""

    def __init__(self, package: str, statements: dict[str, Query]) -> None:
        self._package = package
        self._statements = statements

    def __getattr__(self, name: str) -> Query:
        try:
            return self._statements[name]
        except KeyError:
            raise AttributeError(f"{self._package}/queries.sql has no statement named {name!r}") from None

    def __iter__(self) -> Iterator[Query]:
        return iter(self._statements.values())


@lru_cache(maxsize=4096)
def pyformat(sql: str) -> str:
    """Return SQL with ``:name`` turned into psycopg's ``%(name)s``; quoted text and casts are left alone."""

    def replace(match: re.Match[str]) -> str:
        quoted, name, percent = match.groups()
        if quoted is not None:
            return quoted.replace("%", "%%")
        return "%%" if percent else f"%({name})s"

    return _PARAMETER.sub(replace, sql)


def statement(name: str, sql: str, *, postgresql: str | None = None) -> Query:
    """Return a query made in code, for the engines' own needs."""
    return Query(name, sql, pyformat(postgresql or sql))


def parse(text: str, package: str) -> Queries:
    """Split the text of a ``queries.sql`` at its ``-- name:`` lines."""
    common: dict[str, str] = {}
    postgresql: dict[str, str] = {}
    headers = list(_HEADER.finditer(text))
    for header, following in zip(headers, [*headers[1:], None], strict=True):
        body = text[header.end() : following.start() if following else len(text)].strip().rstrip(";")
        into = postgresql if header["dialect"] else common
        if header["name"] in into:
            raise ValueError(f"{package}/queries.sql names {header['name']!r} twice")
        into[header["name"]] = body
    orphans = postgresql.keys() - common.keys()
    if orphans:
        raise ValueError(f"{package}/queries.sql has only a PostgreSQL variant of {sorted(orphans)}")
    return Queries(
        package,
        {name: statement(name, sql, postgresql=postgresql.get(name)) for name, sql in common.items()},
    )


def load(package: str) -> Queries:
    """Return the statements of ``queries.sql`` in a package."""
    from importlib import resources  # a server that starts is not to wait for it

    return parse(resources.files(package).joinpath("queries.sql").read_text("utf-8"), package)
