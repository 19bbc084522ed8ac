"""What holds for every test: no network, no strays, no settings of the person who runs it."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import aioresponses_shim, network, strays

pytest_plugins = ("dspex.testing.plugin",)

# Under load a deadline measures the machine. In CI the same examples run each time.
settings.register_profile("local", deadline=None)
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") else "local")

PROVIDER = ("_API_KEY", "_BASE_URL")
PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})


@pytest.fixture(scope="session", autouse=True)
def sealed_session() -> Iterator[None]:
    """Ban the network, and make aioresponses fit the installed aiohttp."""
    with pytest.MonkeyPatch.context() as patch:
        network.ban(patch)
        aioresponses_shim.install(patch)
        yield


@pytest.fixture(autouse=True)
def sealed_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in an empty folder and home, without settings, keys or proxies from outside."""
    for name in os.environ:
        if name.startswith("DSPEX_") or name.endswith(PROVIDER) or name.lower() in PROXIES:
            monkeypatch.delenv(name)

    for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))

    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def no_strays(request: pytest.FixtureRequest) -> None:
    """Fail an async test that leaves tasks behind, after its fixtures are taken down."""
    function = getattr(request, "function", None)
    inner = getattr(getattr(function, "hypothesis", None), "inner_test", function)
    if inspect.iscoroutinefunction(inner):
        request.getfixturevalue("strays_of_this_loop")


@pytest.fixture
async def strays_of_this_loop() -> AsyncIterator[None]:
    """Compare the loop's tasks before and after; set up first, so taken down last."""
    before = asyncio.all_tasks()
    yield
    strays.assert_no_strays(before)
