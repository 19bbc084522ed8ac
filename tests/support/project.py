"""Where the project's files are, and what stands in them."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = (
    "PACKAGES",
    "ROOT",
    "Import",
    "folders",
    "imports",
    "module_name",
    "modules",
    "parse",
    "pyproject",
    "texts",
)

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("dspex", "supervision")

NOT_OURS = frozenset({".git", ".hypothesis", "__pycache__", "build", "dist"})
NOT_TEXT = frozenset({".pyc", ".png", ".so", ".db", ".gz"})


@dataclass(frozen=True, slots=True)
class Import:
    """One absolute name that a module reaches for, and where."""

    name: str
    line: int
    typing_only: bool


def pyproject() -> dict[str, Any]:
    """Read the project's metadata and tool settings."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def modules(*folders_: str) -> list[Path]:
    """List the Python files of some top-level folders; of the packages by default."""
    return sorted(path for folder in folders_ or PACKAGES for path in (ROOT / folder).rglob("*.py"))


def folders(*tops: str) -> list[Path]:
    """List the folders of the packages that hold Python files, each of them a package."""
    return sorted({path.parent for path in modules(*tops)})


def module_name(path: Path) -> str:
    """Turn a file into the dotted name that it is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parse(path: Path) -> ast.Module:
    """Parse a Python file, once."""
    return ast.parse(path.read_text(), filename=str(path))


def texts() -> Iterator[Path]:
    """Walk over the text files that belong to the project, wherever they stand."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if path.is_file() and path.suffix not in NOT_TEXT and not any(map(_foreign, parts)):
            yield path


def _foreign(part: str) -> bool:
    return part in NOT_OURS or part.startswith(".venv") or part.endswith("_cache")


def imports(path: Path) -> list[Import]:
    """List everything a module imports, function-local imports included."""
    tree = parse(path)
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for child in ast.walk(statement)
    }
    return [
        Import(name, node.lineno, id(node) in typing_only)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in _names(node, path)
    ]


def _names(node: ast.Import | ast.ImportFrom, path: Path) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]

    package = path.relative_to(ROOT).parent.parts
    above = package[: len(package) - node.level + 1] if node.level else ()
    base = ".".join([*above, *([node.module] if node.module else [])])
    # `from dspex import errors` reaches for dspex.errors; deeper, the module is already named.
    return [f"{base}.{alias.name}" for alias in node.names] if base in PACKAGES else [base]
