"""The source of a pipeline as one archive: its file and every module beside it that it imports, always the same bytes."""

import ast
import io
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from trimtab.kernel.errors import Invalid

MOST_BYTES = 16 << 20
MOST_FILES = 2000
_EPOCH = (1980, 1, 1, 0, 0, 0)


def collect(file: Path) -> dict[str, bytes]:
    """Return the file and the modules of its folder that it imports, directly or not, by their relative path.

    Imports are found anywhere in the source, also inside functions. Raises Invalid for what is no Python file.
    """
    if file.suffix != ".py" or not file.is_file():
        raise Invalid(f"{file} is not a Python file.", field="file")
    if not file.stem.isidentifier() or file.stem in sys.stdlib_module_names or file.stem == "trimtab":
        raise Invalid(
            f"{file.name} cannot be imported under its name: choose one that no library has.", field="file"
        )
    folder = file.parent
    found: dict[str, bytes] = {}
    waiting = [file.name]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        content = (folder / path).read_bytes()
        found[path] = content
        if len(found) > MOST_FILES or sum(map(len, found.values())) > MOST_BYTES:
            raise Invalid(
                f"The modules that {file.name} imports are too many or too large for a pipeline.",
                field="file",
            )
        waiting += [name for name in imported_files(path, content) if (folder / name).is_file()]
    return dict(sorted(found.items()))


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return a zip archive of the files that depends on nothing but their names and bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), files[name], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def unpack(content: bytes) -> dict[str, bytes]:
    """Return the files of an archive; raises Invalid for one with strange names, or too large when opened."""
    files: dict[str, bytes] = {}
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_FILES:
                raise Invalid(f"The bundle has more than {MOST_FILES} files.", field="bundle")
            for entry in entries:
                _check_path(entry.filename)
                with archive.open(entry) as stream:
                    piece = stream.read(MOST_BYTES - total + 1)
                total += len(piece)
                if total > MOST_BYTES:
                    raise Invalid(
                        f"The bundle is larger than {MOST_BYTES >> 20} MiB when opened.", field="bundle"
                    )
                files[entry.filename] = piece
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        OSError,
    ) as error:
        raise Invalid("The bundle is not a zip archive that can be read.", field="bundle") from error
    return files


def imported_files(path: str, content: bytes) -> Iterator[str]:
    """Yield the relative paths at which the modules that a file imports would lie, whether they exist or not."""
    try:
        tree = ast.parse(content, path)
    except (SyntaxError, ValueError) as error:
        raise Invalid(f"{path} is not valid Python: {error}.", field="file") from error
    yield from files_of_imports(tree, path)


def files_of_imports(tree: ast.AST, path: str) -> Iterator[str]:
    """Yield the candidate files of every import within a syntax tree that belongs to the file at ``path``."""
    package = PurePosixPath(path).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _candidates(tuple(alias.name.split(".")))
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            module = (*start, *(node.module.split(".") if node.module else ()))
            yield from _candidates(module)
            for alias in node.names:
                yield from _candidates((*module, alias.name))


def _candidates(module: tuple[str, ...]) -> Iterator[str]:
    for length in range(1, len(module) + 1):
        stem = "/".join(module[:length])
        yield f"{stem}/__init__.py"
        if length == len(module):
            yield f"{stem}.py"


def _check_path(name: str) -> None:
    path = PurePosixPath(name)
    strange = path.is_absolute() or ".." in path.parts or "\\" in name or name.endswith("/") or not path.parts
    if strange or len(name) > 200 or any(ord(letter) < 32 for letter in name) or str(path) != name:
        raise Invalid(f"The bundle holds a file with the name {name[:100]!r}.", field="bundle")
