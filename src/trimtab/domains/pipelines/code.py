"""The digest of a step's code: the function and all it uses from its own folder, told from the source without running it.

Formatting, comments, docstrings and the options of ``@step`` do not count. What is outside the folder (libraries,
Python itself) does not count either: a step says ``version=`` when that matters.
"""

import ast
import copy
from collections.abc import Iterable, Iterator
from pathlib import Path

from trimtab.domains.pipelines.values import digest_of
from trimtab.kernel.errors import Invalid
from trimtab.sdk.bundles import files_of_imports

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Sources:
    """The Python files of a folder, parsed once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._trees: dict[str, ast.Module] = {}
        self._statements: dict[str, list[tuple[ast.stmt, frozenset[str]]]] = {}
        self._closures: dict[str, list[str]] = {}

    def digest(self, target: str) -> str:
        """Return the digest of the code behind ``module:function``; raises Invalid for a function that is not there."""
        module, _, name = target.partition(":")
        path = self._path(module)
        if path is None:
            return digest_of("library", target)
        statements = self._top(path)
        wanted = [index for index, (_, binds) in enumerate(statements) if name in binds]
        if not wanted:
            raise Invalid(f"There is no function {name!r} at the top of {path}.")
        always = [index for index, (node, binds) in enumerate(statements) if not binds and not _is_main(node)]
        used = self._closure_within(path, [*wanted, *always])
        pieces: list[str] = []
        files: set[str] = set()
        for index in sorted(used):
            node = statements[index][0]
            pieces.append(_text(node, bare=index in wanted))
            files.update(self._imported(node, path))
        for file in sorted(files - {path}):
            pieces += [file, ast.unparse(_stripped(self._tree(file)))]
        return digest_of("code", name, *pieces)

    def _path(self, module: str) -> str | None:
        stem = module.replace(".", "/")
        for candidate in (f"{stem}.py", f"{stem}/__init__.py"):
            if (self._folder / candidate).is_file():
                return candidate
        return None

    def _tree(self, path: str) -> ast.Module:
        if path not in self._trees:
            self._trees[path] = ast.parse((self._folder / path).read_bytes(), path)
        return self._trees[path]

    def _top(self, path: str) -> list[tuple[ast.stmt, frozenset[str]]]:
        """Return each statement at the top of a file with the names that it binds."""
        if path not in self._statements:
            body = self._tree(path).body
            self._statements[path] = [
                (node, frozenset(_bound(node))) for position, node in enumerate(body)
                if not (position == 0 and _is_docstring(node))
            ]  # fmt: skip
        return self._statements[path]

    def _closure_within(self, path: str, start: Iterable[int]) -> set[int]:
        statements = self._top(path)
        binders: dict[str, list[int]] = {}
        everywhere: list[int] = []  # star imports may bind any name
        for index, (_, binds) in enumerate(statements):
            for name in binds:
                (everywhere if name == "*" else binders.setdefault(name, [])).append(index)
        used: set[int] = set()
        waiting = [*start, *everywhere]
        first = set(start)
        while waiting:
            index = waiting.pop()
            if index in used:
                continue
            used.add(index)
            for name in _names(statements[index][0], bare=index in first):
                waiting += binders.get(name, ())
        return used

    def _imported(self, node: ast.AST, path: str) -> set[str]:
        """Return the files of the folder that a statement imports, and those that these import."""
        found: set[str] = set()
        waiting = [name for name in files_of_imports(node, path) if (self._folder / name).is_file()]
        while waiting:
            file = waiting.pop()
            if file in found:
                continue
            found.add(file)
            waiting += self._closures.get(file) or self._remember(file)
        return found

    def _remember(self, file: str) -> list[str]:
        names = files_of_imports(self._tree(file), file)
        self._closures[file] = [name for name in names if (self._folder / name).is_file()]
        return self._closures[file]


def _bound(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement at the top of a module binds."""
    if isinstance(node, _Definition):
        yield node.name
        return
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, (ast.Store, ast.Del)):
            yield part.id
        elif isinstance(part, (ast.Import, ast.ImportFrom)):
            for alias in part.names:
                yield alias.asname or alias.name.partition(".")[0]
        elif isinstance(part, _Definition):
            yield part.name


def _names(node: ast.AST, *, bare: bool) -> Iterator[str]:
    """Yield every name that a statement might read from its module."""
    parts: list[ast.AST] = [node]
    if bare and isinstance(node, _Definition):
        parts = [*node.body, *_own_decorators(node)]
        if not isinstance(node, ast.ClassDef):
            parts.append(node.args)
            parts += [node.returns] if node.returns is not None else []
    for part in parts:
        for inner in ast.walk(part):
            if isinstance(inner, ast.Name):
                yield inner.id
            elif (
                isinstance(inner, ast.Constant)
                and isinstance(inner.value, str)
                and inner.value.isidentifier()
            ):
                yield inner.value  # a name in quotes: an annotation, or getattr's argument


def _text(node: ast.stmt, *, bare: bool) -> str:
    stripped = _stripped(node)
    if bare and isinstance(stripped, _Definition):
        stripped.decorator_list = _own_decorators(stripped)
    return ast.unparse(stripped)


def _own_decorators(node: _Definition) -> list[ast.expr]:
    """Return the decorators other than ``@step``, whose options are no code."""
    kept: list[ast.expr] = []
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if name != "step":
            kept.append(decorator)
    return kept


def _stripped(node: ast.AST) -> ast.AST:
    """Return a copy without docstrings."""
    return _NoDocstrings().visit(copy.deepcopy(node))


class _NoDocstrings(ast.NodeTransformer):
    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        documented = isinstance(node, (*_DEFINITIONS, ast.Module))
        if documented and isinstance(body, list) and body and _is_docstring(body[0]):
            node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
        return node


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_main(node: ast.AST) -> bool:
    """Whether a statement is the ``if __name__ == ...`` that only runs in a script."""
    return isinstance(node, ast.If) and any(
        isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(node.test)
    )
