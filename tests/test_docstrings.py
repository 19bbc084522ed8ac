"""Snippets of docstrings are Python, and name only what the library has."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

import dspex
from dspex import telemetry
from tests.support.project import ROOT

FOLDERS = ("adapters", "programs", "signatures", "types")
SNIPPET = re.compile(r"(?:\A|\n\n)((?:    [^\n]*\n?|\n(?=    ))+)")


def snippets() -> Iterator[tuple[str, str]]:
    """Yield place and text of each indented paragraph of a class's, function's or module's doc."""
    for folder in FOLDERS:
        for path in sorted((ROOT / "dspex" / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(
                    node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
                ):
                    yield from snippets_of(path, node)


def snippets_of(
    path: Path, node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
) -> Iterator[tuple[str, str]]:
    """Yield the snippets of one docstring; what follows a section's head is no paragraph."""
    name = getattr(node, "name", path.stem)
    for found in SNIPPET.finditer(inspect.cleandoc(ast.get_docstring(node) or "")):
        text = dedent(found[1]).strip("\n")
        if not text.startswith("{"):  # the layout of a file
            yield f"{path.relative_to(ROOT)}:{name}", text


SNIPPETS = list(snippets())


def test_they_are_found() -> None:
    """The programs show how they are used."""
    assert len(SNIPPETS) >= 15


@pytest.mark.parametrize(("place", "text"), SNIPPETS, ids=[place for place, _ in SNIPPETS])
def test_they_compile_and_call_what_is_there(place: str, text: str) -> None:
    """Whatever is called with a capital letter is public, or made in the snippet's own text."""
    code = compile(text, place, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    made = {node.name for node in ast.walk(code) if isinstance(node, ast.ClassDef)}
    called = {
        node.func.id
        for node in ast.walk(code)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    unknown = {name for name in called if name[0].isupper()} - made - set(dspex.__all__)
    assert unknown <= {"ChildSpec", "Pipeline"}


def package_snippets() -> Iterator[tuple[str, str]]:
    """Yield place and text of every snippet of Python in the docstring of a package."""
    for package in ("dspex", "supervision"):
        for path in sorted((ROOT / package).rglob("__init__.py")):
            for place, text in snippets_of(path, ast.parse(path.read_text())):
                try:
                    compile(text, place, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
                except SyntaxError:
                    continue  # a drawing, or a file of settings

                yield place, text


PACKAGE_SNIPPETS = list(package_snippets())


def test_packages_show_how_they_are_used() -> None:
    """At least one does, in Python."""
    assert any("attach_many" in text for _, text in PACKAGE_SNIPPETS)


@pytest.mark.parametrize(
    ("place", "text"), PACKAGE_SNIPPETS, ids=[place for place, _ in PACKAGE_SNIPPETS]
)
async def test_snippets_of_packages_run(place: str, text: str) -> None:
    """As they stand, inside an open runtime and with a handler of one's own."""

    def handler(*_: object) -> None:
        """Hear an event."""

    async with dspex.Runtime(log="off") as runtime:
        names = {"dspex": dspex, "runtime": runtime, "telemetry": telemetry, "handler": handler}
        code = compile(text, place, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, names)
        if inspect.isawaitable(result):
            await result
