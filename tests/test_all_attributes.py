"""`__all__` says exactly what a module offers."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import PACKAGES, ROOT, module_name, modules, parse

LAZY_ROOT = ROOT / "dspex" / "__init__.py"
TYPE_PARAMETERS = ("TypeVar", "TypeVarTuple", "ParamSpec")

PUBLIC = [
    path
    for path in modules()
    if not any(part.startswith("_") for part in module_name(path).split("."))
]


def defined(statements: list[ast.stmt]) -> Iterator[str]:
    """Yield the names that statements of a module bind: classes, functions, constants."""
    for node in statements:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name
            case ast.AsyncFunctionDef(name=name):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Assign(value=ast.Call(func=ast.Name(id=maker))) if maker in TYPE_PARAMETERS:
                pass
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.If(body=body, orelse=orelse):
                yield from defined([*body, *orelse])
            case ast.Try(body=body, handlers=handlers):
                yield from defined([*body, *(s for handler in handlers for s in handler.body)])
            case _:
                pass


def reexported(tree: ast.Module) -> set[str]:
    """Give the names that a package takes from its own modules."""
    return {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES
        for alias in node.names
    }


def offered(path: Path) -> set[str]:
    """Give the public names of a module or package, as its source shows them."""
    tree = parse(path)
    names = set(defined(tree.body))
    if path.name == "__init__.py":
        names |= reexported(tree)

    return {name for name in names if not name.startswith("_")}


def reading_order(name: str) -> tuple[int, str]:
    """Sort constants first, then classes, then functions, as ruff does (RUF022)."""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[0].isupper() else 2
    return kind, name


def test_both_packages_are_walked() -> None:
    """The tests below see modules of both packages."""
    assert {module_name(path).split(".")[0] for path in PUBLIC} == set(PACKAGES)


@pytest.mark.parametrize("path", PUBLIC, ids=module_name)
def test_all_is_a_sorted_tuple(path: Path) -> None:
    """Each public module has an `__all__`: a tuple, sorted, without doubles, of names it has."""
    module = importlib.import_module(module_name(path))
    names: object = getattr(module, "__all__", None)
    assert isinstance(names, tuple), f"{module.__name__}.__all__ is {names!r}"
    assert list(names) == sorted(set(names), key=reading_order)
    assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize("path", [p for p in PUBLIC if p != LAZY_ROOT], ids=module_name)
def test_all_equals_what_is_defined(path: Path) -> None:
    """A module lists what it defines; a package lists what it takes from its modules."""
    module = importlib.import_module(module_name(path))
    # A name that only type checkers see is nothing that a module offers.
    assert set(module.__all__) == {name for name in offered(path) if hasattr(module, name)}


@pytest.mark.parametrize(
    "path",
    [p for p in PUBLIC if p.name == "__init__.py" and p != LAZY_ROOT],
    ids=module_name,
)
def test_package_only_imports(path: Path) -> None:
    """An `__init__` holds a docstring, imports and `__all__`, and nothing that does anything."""
    allowed = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign)
    assert [type(node).__name__ for node in parse(path).body if not isinstance(node, allowed)] == []


class TestDefined:
    def test_finds_what_a_module_binds(self) -> None:
        """Classes, functions, constants and conditional ones count; type parameters do not."""
        source = """
T = TypeVar("T")
LIMIT: int = 3
A = B = 1
if sys.platform == "win32":
    def windows(): ...
try:
    fast = True
except ImportError:
    slow = True
async def serve(): ...
class Thing: ...
"""
        names = {"LIMIT", "A", "B", "windows", "fast", "slow", "serve", "Thing"}
        assert set(defined(ast.parse(source).body)) == names
