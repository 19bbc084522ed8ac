"""A pytest plugin: virtual time for the tests that ask for it.

Name it in a conftest, `pytest_plugins = ["dspex.testing.plugin"]`, and mark a test, a class or a
module with `virtual_time`. It chooses the loop of tests that pytest-asyncio runs.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from dspex.testing.loop import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ("pytest_asyncio_loop_factories", "pytest_configure")

_MARKER = (
    "virtual_time(on=True, grace_s=0.1): run on a loop whose clock jumps to the next timer; "
    "virtual_time(False) opts one test of a marked module out"
)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Choose the event loop of one test, by its nearest `virtual_time` marker."""
    marker = item.get_closest_marker("virtual_time")
    if marker is None:
        return {"real": asyncio.new_event_loop}

    on, grace_s = _read_marker(*marker.args, **marker.kwargs)
    if not on:
        return {"real": asyncio.new_event_loop}

    return {"virtual": partial(VirtualTimeLoop, grace_s=grace_s)}


def _read_marker(on: bool = True, *, grace_s: float = 0.1) -> tuple[bool, float]:
    return on, grace_s
