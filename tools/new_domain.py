"""Lays out an empty domain in the house's manner: python tools/new_domain.py NOUN."""

import sys
from pathlib import Path

FILES = {
    "__init__.py": '"""{Noun}: what it is for, in one sentence."""\n\nfrom trimtab.domains.{noun}.service import {Noun}Service\n\n__all__ = ["{Noun}Service"]\n',
    "model.py": '"""The values of {noun} and their rules."""\n',
    "errors.py": '"""What can go wrong with {noun}."""\n',
    "events.py": '"""Facts that {noun} announces."""\n',
    "queries.sql": "-- name: {noun}_all\nselect id from {noun}_item order by id;\n",
    "store.py": '"""The tables of {noun}."""\n\nfrom trimtab.infra.db import load\n\nQ = load(__package__ or "")\n',
    "service.py": '"""What can be done with {noun}, one method a use case."""\n\n\nclass {Noun}Service:\n    """One sentence on what it promises."""\n',
    "http.py": '"""The HTTP face of {noun}."""\n',
    "cli.py": '"""Commands for {noun}."""\n',
    "migrations/0001_initial.sql": "create table {noun}_item (\n  id text not null primary key\n);\n",
}


def main() -> int:
    """Write the files of a new domain and say what to wire."""
    if len(sys.argv) != 2 or not sys.argv[1].isidentifier():
        print("make new-domain NAME=noun", file=sys.stderr)
        return 2
    noun = sys.argv[1]
    folder = Path("src/trimtab/domains") / noun
    if folder.exists():
        print(f"{folder} is there already", file=sys.stderr)
        return 2
    for name, text in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("{noun}", noun).replace("{Noun}", noun.capitalize()))
    tests = Path("tests/domains") / noun
    tests.mkdir(parents=True)
    (tests / "__init__.py").touch()
    print(
        f"{folder} is laid out. Wire it: app.py (MIGRATED, App), http.py, cli.py, and its tier in pyproject.toml."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
