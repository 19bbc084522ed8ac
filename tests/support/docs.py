"""Run the python blocks of a document the way a reader would: in order, in one namespace.

A block that awaits runs inside an async main, the others as they stand; both see the names that the
blocks before them left behind. `reader` is where a document gets its surroundings from.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any
from unittest import mock

from tests.support.project import ROOT

__all__ = ("Block", "blocks", "documents", "reader", "run_block")

FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```\s*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its info string, its text, and the line its text starts at."""

    info: str
    text: str
    line: int


def documents() -> list[Path]:
    """List the documents whose blocks must run."""
    top = [ROOT / "README.md", ROOT / "CHANGELOG.md"]
    inside = [
        path
        for folder in ("dspex", "supervision", "examples", "benchmarks")
        for path in (ROOT / folder).rglob("*.md")
    ]
    return sorted(path for path in [*top, *inside] if path.exists())


def blocks(text: str) -> list[Block]:
    """Find the fenced blocks of a document whose language is python, however it is spelt."""
    found = [
        Block(match[2].strip(), dedent(match[3]).rstrip(), text.count("\n", 0, match.start(3)) + 1)
        for match in FENCE.finditer(text)
    ]
    return [block for block in found if re.match(r"py(thon|con)?\b", block.info, re.IGNORECASE)]


@contextmanager
def reader(runner: asyncio.Runner) -> Iterator[dict[str, Any]]:
    """Yield the namespace a document starts with, its provider reachable through the environment.

    The provider is the sandbox server on loopback; whoever needs more than an empty namespace and a
    default model puts it here.
    """
    from dspex.sandbox import SandboxServer

    context = SandboxServer.start()
    server = runner.run(_await(context.__aenter__()))
    settings = {
        "DSPEX_DEFAULT": f"sandbox/{server.model}",
        "DSPEX_PROVIDERS__SANDBOX__BASE_URL": server.base_url,
    }
    try:
        with mock.patch.dict(os.environ, settings):
            yield {"__name__": "__main__"}
    finally:
        runner.run(_await(context.__aexit__(None, None, None)))


def run_block(block: Block, path: Path, namespace: dict[str, Any], runner: asyncio.Runner) -> None:
    """Compile and run one block; its traceback points at the document's own lines."""
    source = "\n" * (block.line - 1) + block.text
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(source, str(path), "exec", flags=flags, dont_inherit=True)
    result = eval(code, namespace)
    if inspect.iscoroutine(result):
        runner.run(result)


async def _await(awaitable: Any) -> Any:
    return await awaitable
