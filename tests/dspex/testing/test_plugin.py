"""The pytest marker that puts a test on virtual time."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from dspex.testing import VirtualTimeLoop
from dspex.testing.plugin import pytest_asyncio_loop_factories


def item(*marks: pytest.MarkDecorator) -> pytest.Item:
    """Make the little of a test item that the plugin looks at."""
    return cast(
        "pytest.Item",
        SimpleNamespace(get_closest_marker=lambda _: marks[0].mark if marks else None),
    )


async def test_unmarked_test_runs_on_the_real_clock() -> None:
    """Without the marker a test gets an ordinary loop."""
    assert not isinstance(asyncio.get_running_loop(), VirtualTimeLoop)


@pytest.mark.virtual_time
async def test_marked_test_runs_on_virtual_time() -> None:
    """With the marker a day of sleep ends at once."""
    assert isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
    await asyncio.sleep(86_400)
    assert asyncio.get_running_loop().time() == 86_400


@pytest.mark.virtual_time
class TestMarkedClass:
    async def test_marker_is_inherited(self) -> None:
        """A test takes the marker of its class."""
        assert isinstance(asyncio.get_running_loop(), VirtualTimeLoop)

    @pytest.mark.virtual_time(False)
    async def test_marker_can_be_taken_back(self) -> None:
        """The nearest marker decides, so one test of a marked class may run in real time."""
        assert not isinstance(asyncio.get_running_loop(), VirtualTimeLoop)


@pytest.fixture
async def loop_of_the_fixture() -> asyncio.AbstractEventLoop:
    """Tell which loop fixtures run on."""
    return asyncio.get_running_loop()


@pytest.mark.virtual_time
async def test_fixtures_share_the_loop(loop_of_the_fixture: asyncio.AbstractEventLoop) -> None:
    """An async fixture runs on the loop of its test."""
    assert loop_of_the_fixture is asyncio.get_running_loop()


def test_grace_reaches_the_loop() -> None:
    """The marker's grace configures the loop that is made."""
    factories = pytest_asyncio_loop_factories(item(pytest.mark.virtual_time(grace_s=0.25)))
    loop = factories["virtual"]()
    try:
        assert isinstance(loop, VirtualTimeLoop)
        assert "0.25" in repr(loop)
    finally:
        loop.close()


def test_unknown_argument_is_refused() -> None:
    """A misspelt marker argument is an error, not a marker without effect."""
    with pytest.raises(TypeError, match="grace"):
        pytest_asyncio_loop_factories(item(pytest.mark.virtual_time(grace=1)))
