"""Where the command ``trimtab`` begins: it turns errors into exit codes, and starts the server by the shortest way."""

import sys
from collections.abc import Sequence

from trimtab.kernel.errors import Kind, TrimtabError

EXIT_CODES: dict[Kind, int] = {
    "invalid": 2,
    "conflict": 2,
    "too-large": 2,
    "not-found": 3,
    "forbidden": 4,
    "unauthenticated": 4,
    "unavailable": 5,
    "bug": 70,
}
UP_FLAGS = (
    "home",
    "host",
    "port",
    "inference_port",
    "grpc_port",
    "inference_tls_cert",
    "inference_tls_key",
    "inference_tls_client_ca",
    "replica_secret_file",
    "database",
    "blobs",
    "executor",
    "sign_in",
    "log_level",
)
"""The settings that ``trimtab up`` has flags for."""


def main() -> None:
    """Run the command line; errors end with one line that says what to do and the code of their kind."""
    try:
        if (flags := _plain_up(sys.argv[1:])) is not None:
            from trimtab.server import start

            start(flags)
            return
        from trimtab.commands import app  # what reads command lines takes a tenth of a second to import

        app(standalone_mode=True)
    except TrimtabError as error:
        print(f"trimtab: {error.message}", file=sys.stderr)
        sys.exit(EXIT_CODES[error.kind])
    except BrokenPipeError:
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)


def _plain_up(words: Sequence[str]) -> dict[str, str] | None:
    """Return the flags of a plain ``trimtab up``, None for all else: other commands, asking for help, mistakes."""
    if words[:1] != ["up"]:
        return None
    flags: dict[str, str] = {}
    rest = iter(words[1:])
    for word in rest:
        name, has_value, value = word.partition("=")
        key = name.removeprefix("--").replace("-", "_")
        if f"--{key.replace('_', '-')}" != name or key not in UP_FLAGS or key in flags:
            return None
        if not has_value:
            value = next(rest, "-")
        if value.startswith("-") or (key.endswith("port") and not (value.isascii() and value.isdigit())):
            return None
        flags[key] = value
    return flags
