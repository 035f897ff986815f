"""The state of the code that a run was started from: its commit, and what was changed since, without secrets.

Files whose names are those of secrets, or whose changes hold what looks like a key or token, are left out, and so is what
is too large. Each is named with the reason, so that nobody takes the rest for the whole.
"""

import os
import re
import shutil
import subprocess
import tempfile
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

MOST_PATCH_BYTES = 2 << 20
MOST_NEW_FILE_BYTES = 512 << 10
_MOST_FILES = 1000
_GIT_S = 10.0
SECRET_NAMES = (
    ".env", ".env.*", "*.env", ".netrc", "_netrc", ".npmrc", ".pypirc", ".htpasswd", ".pgpass", "*.pem", "*.key",
    "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*",
    "credentials", "credentials.*", "*secret*", "*token", "token.*", "tokens.*", "*password*", "*.tfvars", "*.tfstate", "kubeconfig*",
)  # fmt: skip
_SECRET_TEXT = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    rb"|\bA(?:KIA|SIA)[0-9A-Z]{16}\b"  # Amazon
    rb"|\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_\w{22}"
    rb"|\bglpat-[\w-]{20}"
    rb"|\bxox[abpors]-[\w-]{10}"  # Slack
    rb"|\bsk-[A-Za-z0-9_-]{20}|\bhf_[A-Za-z0-9]{30}|\bAIza[\w-]{35}|\btt_[A-Za-z0-9_-]{20}"
    rb"|(?i:\b(?:password|passwd|secret|api_?key|access_?token|auth_?token)\b[\"']?\s*[:=]\s*[\"'][^\"'\s]{8})"
    rb"|[a-z][a-z0-9+.-]*://[^\s/:@\"']+:[^\s/@\"']{3,}@"  # an address with a password
)


class LeftOut(msgspec.Struct, frozen=True):
    path: str
    why: str


class CodeState(msgspec.Struct, frozen=True, kw_only=True):
    """A commit and the patch on it; the patch is whole when nothing was left out."""

    root: str
    commit: str
    branch: str | None
    remote: str | None
    changed: bool
    files: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def tags(self) -> dict[str, str]:
        """Return it as tags, under the names that MLflow gives them."""
        tags = {
            "mlflow.source.git.commit": self.commit,
            "trimtab.git.changed": "true" if self.changed else "false",
        }
        if self.branch:
            tags["mlflow.source.git.branch"] = self.branch
        if self.remote:
            tags["mlflow.source.git.repoURL"] = self.remote
        return tags


def read(folder: Path) -> tuple[CodeState, bytes] | None:
    """Return the state of the repository that a folder is in and the patch; None where there is no commit."""
    left_out: list[LeftOut] = []
    try:
        where = _git(folder, "rev-parse", "--show-toplevel", "--git-path", "index").decode()
        root, index, *_ = where.split("\n")
        status = _status(Path(root), left_out)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    head, changed, new = _parse(status)
    commit = head.get("branch.oid", "")
    if not commit or commit.startswith("("):
        return None
    new = [path for path in new if "__pycache__/" not in path]
    kept_new = [path for path in new if _keeps_new(Path(root), path, left_out)]
    kept = [path for path in changed if _keeps_name(path, left_out)]
    patch, files = b"", []
    if len(kept) + len(kept_new) > _MOST_FILES:
        left_out.append(LeftOut(".", f"{len(kept) + len(kept_new)} files differ from the commit"))
    elif kept or kept_new:
        patch, files = _diff(Path(root), (folder / index).resolve(), kept, kept_new, left_out)
    branch = head.get("branch.head", "")
    return CodeState(
        root=root,
        commit=commit,
        branch=branch if branch and not branch.startswith("(") else None,
        remote=_remote(Path(root)),
        changed=bool(changed or new or left_out),
        files=tuple(files),
        left_out=tuple(left_out),
    ), patch


def is_secret_name(path: str) -> bool:
    """Return whether a file's name is one that secrets have."""
    name = path.rpartition("/")[2].lower()
    if name.endswith((".py", ".ipynb", ".md", ".rst")):  # tokenizer.py, test_password.py: source
        return False
    return any(fnmatch(name, pattern) for pattern in SECRET_NAMES)


def holds_secret(content: bytes) -> bool:
    """Return whether a text holds what looks like a key, a token or a password."""
    return _SECRET_TEXT.search(content) is not None


def without_password(url: str) -> str:
    """Return an address without the user and password in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.scheme else url


def _status(root: Path, left_out: list[LeftOut]) -> bytes:
    """Return branch, changes and new files; only the branch where git takes too long for the rest."""
    command = ["status", "--porcelain=v2", "--branch", "-z"]
    try:
        return _git(root, *command, "--untracked-files=all")
    except subprocess.TimeoutExpired:
        left_out.append(LeftOut(".", f"git did not tell within {_GIT_S:g} s what was changed"))
        return b"# branch.oid " + _git(root, "rev-parse", "HEAD").strip()


def _parse(status: bytes) -> tuple[dict[str, str], list[str], list[str]]:
    """Return the branch's facts, the tracked files that differ, and the new ones."""
    head: dict[str, str] = {}
    changed: list[str] = []
    new: list[str] = []
    fields = iter(status.decode("utf-8", "surrogateescape").split("\0"))
    for field in fields:
        kind, _, rest = field.partition(" ")
        match kind:
            case "#":
                name, _, value = rest.partition(" ")
                head[name] = value
            case "1":
                changed.append(field.split(" ", 8)[8])
            case "2":
                changed += [field.split(" ", 9)[9], next(fields)]
            case "u":
                changed.append(field.split(" ", 10)[10])
            case "?":
                new.append(rest)
            case _:
                pass
    return head, changed, new


def _keeps_name(path: str, left_out: list[LeftOut]) -> bool:
    if is_secret_name(path):
        left_out.append(LeftOut(path, "its name is that of a secret"))
        return False
    return True


def _keeps_new(root: Path, path: str, left_out: list[LeftOut]) -> bool:
    if not _keeps_name(path, left_out):
        return False
    file = root / path
    if file.is_dir() or not file.is_file():
        left_out.append(LeftOut(path, "it is a repository of its own or no file"))
        return False
    if file.stat().st_size > MOST_NEW_FILE_BYTES:
        left_out.append(LeftOut(path, f"it is new and larger than {MOST_NEW_FILE_BYTES >> 10} KiB"))
        return False
    return True


def _diff(
    root: Path, index: Path, changed: list[str], new: list[str], left_out: list[LeftOut]
) -> tuple[bytes, list[str]]:
    """Return the patch of the files that hold no secret, and their paths. The repository's own index stays as it is."""
    with tempfile.TemporaryDirectory(prefix="trimtab-") as scratch:
        copy = Path(scratch) / "index"
        environment = {**os.environ, "GIT_INDEX_FILE": str(copy)}
        try:
            if index.exists():
                shutil.copy2(
                    index, copy
                )  # its time tells git which files may have changed since without a trace
            paths = ["--pathspec-from-file=-", "--pathspec-file-nul"]
            if new:
                _git(root, "add", "--intent-to-add", *paths, env=environment, stdin=_nul(new))
            names = [*changed, *new]
            literal = {**environment, "GIT_LITERAL_PATHSPECS": "1"}
            patch = _git(
                root, "diff", "--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
                "--full-index", "--src-prefix=a/", "--dst-prefix=b/", "HEAD", "--", *names, env=literal,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            left_out.append(LeftOut(".", f"git could not tell the changes: {type(error).__name__}"))
            return b"", []
    kept: list[bytes] = []
    files: list[str] = []
    size = 0
    for section in re.split(rb"(?m)^(?=diff --git )", patch):
        if not section:
            continue
        name = section.split(b"\n", 1)[0].rpartition(b" b/")[2].decode("utf-8", "replace").rstrip('"')
        size += len(section)
        if holds_secret(section):
            left_out.append(LeftOut(name, "it holds what looks like a secret"))
        elif size > MOST_PATCH_BYTES:
            left_out.append(LeftOut(name, f"the changes are larger than {MOST_PATCH_BYTES >> 20} MiB"))
        else:
            kept.append(section)
            files.append(name)
    return b"".join(kept), files


def _remote(root: Path) -> str | None:
    try:
        url = _git(root, "config", "--get", "remote.origin.url").decode().strip()
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return without_password(url) or None


def _nul(paths: list[str]) -> bytes:
    return b"\0".join(path.encode("utf-8", "surrogateescape") for path in paths)


def _git(
    folder: Path, *arguments: str, env: dict[str, str] | None = None, stdin: bytes | None = None
) -> bytes:
    command = ["git", "-C", str(folder), *arguments]
    environment = {**(env or os.environ), "GIT_OPTIONAL_LOCKS": "0"}
    done = subprocess.run(
        command, capture_output=True, timeout=_GIT_S, check=True, env=environment, input=stdin or b""
    )
    return done.stdout
