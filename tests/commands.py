"""The command line in the process of the tests: a tenth of what a process of its own costs, with the same exit codes."""

import contextlib
import io
import os
import subprocess
import sys
from unittest import mock

from trimtab import cli


def trimtab(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run ``trimtab WORDS`` to its end; keywords are further variables of the environment."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        mock.patch.object(sys, "argv", ["trimtab", *words]),
        mock.patch.dict(os.environ, environment),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code
    status = code if isinstance(code, int) else int(code is not None)
    return subprocess.CompletedProcess(["trimtab", *words], status, out.getvalue(), err.getvalue())
