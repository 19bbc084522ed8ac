"""Optimizers are deterministic code: what is not comes through `effects` alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.project import ROOT

FOLDER = ROOT / "dspex" / "optimizers"

BANNED_MODULES = {"random", "time", "secrets", "uuid", "threading", "concurrent", "datetime"}
BANNED_CALLS = {"create_task", "ensure_future", "gather", "wait_for", "sleep", "to_thread", "run"}

# Where concurrency is made, and nowhere else.
MAY_START_TASKS = {"window.py"}


def breaches(source: str, *, may_start_tasks: bool = False) -> list[str]:
    """Name what in a module's source could make its result depend on chance or time."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in BANNED_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.split(".")[0] in BANNED_MODULES | {"asyncio"}:
                found.append(node.module)
        elif isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else None
            if owner == "asyncio" and node.attr in BANNED_CALLS:
                found.append(f"asyncio.{node.attr}")
            elif node.attr in ("create_task", "TaskGroup") and not may_start_tasks:
                found.append(node.attr)
            elif owner == "os" and node.attr in ("urandom", "getrandom"):
                found.append(f"os.{node.attr}")

    return found


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_only_effects(path: Path) -> None:
    """No module of the package takes time, chance or tasks from anywhere else."""
    assert breaches(path.read_text(), may_start_tasks=path.name in MAY_START_TASKS) == []


@pytest.mark.parametrize(
    ("source", "breach"),
    [
        ("import random", "random"),
        ("import time as t", "time"),
        ("from random import shuffle", "random"),
        ("from asyncio import create_task", "asyncio"),
        ("import asyncio\nasyncio.gather()", "asyncio.gather"),
        ("import asyncio\nasyncio.sleep(1)", "asyncio.sleep"),
        ("group.create_task(x())", "create_task"),
        ("import asyncio\nasyncio.TaskGroup()", "TaskGroup"),
        ("import os\nos.urandom(8)", "os.urandom"),
    ],
)
def test_the_lint_sees(source: str, breach: str) -> None:
    """Each way around is found."""
    assert breaches(source) == [breach]


def test_the_window_may_start_tasks() -> None:
    """The one place of concurrency may use a task group, and still nothing else."""
    source = "import asyncio\nasyncio.TaskGroup().create_task(x())\nasyncio.sleep(1)"
    assert breaches(source, may_start_tasks=True) == ["asyncio.sleep"]
