"""Virtual time for every test of the package, and a check that no test leaves a task behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

import pytest

from supervision.testing import VirtualClockLoop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each test in a loop whose clock jumps, unless it is about the real world."""
    if item.get_closest_marker("real_time") is not None:
        return {"real": asyncio.SelectorEventLoop}

    return {"virtual": VirtualClockLoop}


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of tests that need the real clock."""
    config.addinivalue_line("markers", "real_time: uses threads, signals or the real clock")


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "supervision")
