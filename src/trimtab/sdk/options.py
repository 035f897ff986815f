"""The options that commands have in common."""

from typing import Annotated

import typer

Url = Annotated[str | None, typer.Option("--url", help="The server; default TRIMTAB_URL or this machine's.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
