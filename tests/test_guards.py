"""The guards around every test: no network, no strays, nobody's settings."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.network import BannedNetworkError
from tests.support.project import ROOT
from tests.support.strays import StrayTasksError, assert_no_strays

# An address for documentation: nobody answers there.
ELSEWHERE = ("192.0.2.1", 80)

LEAK = """
import asyncio

async def forever():
    await asyncio.Event().wait()

async def test_leaks():
    asyncio.get_running_loop().leak = asyncio.create_task(forever(), name="the-stray")

async def test_clean():
    await asyncio.sleep(0)
"""


class TestNetwork:
    @pytest.mark.parametrize("address", [ELSEWHERE, ("2001:db8::1", 80, 0, 0)])
    def test_connection_elsewhere_is_refused(self, address: tuple[str, int]) -> None:
        """Both ways to connect raise before a packet leaves, for both families."""
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        with socket.socket(family) as sock:
            for connect in (sock.connect, sock.connect_ex):
                with pytest.raises(BannedNetworkError, match="loopback only"):
                    connect(address)

    async def test_asyncio_is_covered(self) -> None:
        """A connection that the event loop makes is refused as well."""
        with pytest.raises(BannedNetworkError):
            await asyncio.open_connection(*ELSEWHERE)

    async def test_names_are_not_looked_up(self) -> None:
        """A host name other than this machine's own is refused before a resolver is asked."""
        with pytest.raises(BannedNetworkError, match="example"):
            await asyncio.open_connection("api.example", 443)

    def test_it_is_no_outage(self) -> None:
        """Code that retries on OSError does not swallow the refusal."""
        assert not issubclass(BannedNetworkError, OSError)

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    async def test_loopback_is_open(self, host: str) -> None:
        """A server of the test's own can be reached."""

        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection(host, port, family=socket.AF_INET)
            assert await reader.read() == b"hello"
            writer.close()
            await writer.wait_closed()


class TestStrays:
    async def test_stray_is_named(self) -> None:
        """The error names the task, its coroutine and the line where it waits."""

        async def forever() -> None:
            await asyncio.Event().wait()

        before = asyncio.all_tasks()
        task = asyncio.create_task(forever(), name="left-behind")
        await asyncio.sleep(0)
        with pytest.raises(StrayTasksError, match=r"'left-behind'.*forever.*test_guards\.py:\d+"):
            assert_no_strays(before)

        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_finished_tasks_are_none(self) -> None:
        """A task that was awaited is no stray."""
        before = asyncio.all_tasks()
        await asyncio.create_task(asyncio.sleep(0))
        assert_no_strays(before)

    @pytest.mark.slow
    def test_leaking_test_fails(self, tmp_path: Path) -> None:
        """A test that leaves a task behind ends in an error with its name; its neighbour passes."""
        suite = tmp_path / "test_leak.py"
        suite.write_text(LEAK)
        options = ["-p", "tests.conftest", "-p", "no:randomly", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", *options, suite],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        assert "2 passed, 1 error" in done.stdout
        assert "'the-stray' forever" in done.stdout


class TestEnvironment:
    @pytest.fixture(scope="class", autouse=True)
    @staticmethod
    def settings_from_outside() -> object:
        """Set what a person who runs the suite may have set."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DSPEX_DEFAULT", "openai/expensive")
            patch.setenv("OPENAI_API_KEY", "secret")
            patch.setenv("HTTPS_PROXY", "http://192.0.2.1:3128")
            yield

    def test_settings_are_gone(self) -> None:
        """No setting, key or proxy from outside reaches a test."""
        outside = {"DSPEX_DEFAULT", "OPENAI_API_KEY", "HTTPS_PROXY"}
        assert outside & os.environ.keys() == set()

    def test_folder_and_home_are_empty(self) -> None:
        """A test starts in a folder of its own, without a settings file in it or at home."""
        assert list(Path.cwd().iterdir()) == []
        assert Path.home() == Path.cwd()
        assert ROOT not in [Path.cwd(), *Path.cwd().parents]
