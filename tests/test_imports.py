"""`import dspex` is cheap: nothing heavy is loaded, no file but modules read, no socket made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.support.project import ROOT

HEAVY = ("aiohttp", "numpy", "scipy", "sqlalchemy", "pydantic", "rich", "openai")

# Runs in a fresh interpreter. The hook hears of every file and socket before it is used.
SPY = """
import json, sys
opened, network = [], []

def hear(event, arguments):
    if event == "open":
        opened.append(str(arguments[0]))
    elif event.startswith("socket."):
        network.append(event)

sys.addaudithook(hear)
import {module}
report = {{"opened": opened, "network": network, "loaded": sorted(sys.modules)}}
sys.stdout.write(json.dumps(report))
"""


def spy(module: str) -> dict[str, list[str]]:
    """Import a module in a fresh interpreter and report what that did."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SPY.format(module=module)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    report: Any = json.loads(done.stdout)
    return {key: list(map(str, values)) for key, values in report.items()}


@pytest.fixture(scope="module")
def report() -> dict[str, list[str]]:
    """Import dspex once for all tests of this module."""
    return spy("dspex")


def is_module(path: str) -> bool:
    """Tell the files that an import system reads from all others."""
    return path.endswith((".py", ".pyc", ".so", ".pyd", ".pth", ".zip"))


def test_loads_nothing_heavy(report: dict[str, list[str]]) -> None:
    """What is slow to load is loaded by whoever uses it first."""
    assert "dspex" in report["loaded"]
    assert [name for name in HEAVY if name in report["loaded"]] == []


def test_opens_modules_only(report: dict[str, list[str]]) -> None:
    """No settings, no data and no package metadata are read at import."""
    assert any("dspex" in path for path in report["opened"])
    assert [path for path in report["opened"] if not is_module(path)] == []


def test_touches_no_network(report: dict[str, list[str]]) -> None:
    """No socket is made and no name is looked up at import."""
    assert report["network"] == []


def test_the_spy_sees() -> None:
    """The spy reports what a heavier import does, so the tests above can fail."""
    report = spy("aiohttp, socket; socket.socket().close(); open('pyproject.toml', 'x').close()")
    assert "aiohttp" in report["loaded"]
    assert "socket.__new__" in report["network"]
    assert "pyproject.toml" in report["opened"]
