"""The server as a second process: it starts, it ends, and it says why when it does not."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
from asyncio.subprocess import Process
from collections.abc import Iterator
from typing import cast

import aiohttp
import orjson
import pytest

from dspex.errors import SandboxError
from dspex.sandbox import MODEL_ID, Faults, SandboxServer, Script
from tests.dspex.sandbox.chat import classify
from tests.support.project import ROOT

pytestmark = pytest.mark.slow

BODY = {"model": MODEL_ID, "messages": classify(("a", "b"), "b b", [("b b", "b")])}


async def ask(server: SandboxServer) -> int:
    """Send one request on a connection of its own; return the status."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.base_url}/chat/completions", json=BODY) as response,
    ):
        await response.read()
        return response.status


def exists(pid: int) -> bool:
    """Say whether a process with this id is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False

    return True


@pytest.fixture(scope="module")
def process() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server for all tests that only command it, and where it listens."""
    with subprocess.Popen(
        (sys.executable, "-m", "dspex.sandbox"),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as found:
        assert found.stdout is not None
        yield found, orjson.loads(found.stdout.readline())["port"]
        assert found.stdin is not None
        found.stdin.close()


@pytest.fixture
async def shared(process: tuple[subprocess.Popen[bytes], int]) -> SandboxServer:
    """Hand out that server as new."""
    # The processes of both libraries have an id and an exit code, which is all it asks for.
    server = SandboxServer(cast("Process", process[0]), process[1])
    await server.use_script(Script())
    await server.reset_statistics()
    return server


class TestLife:
    async def test_serves_until_its_context_ends(self) -> None:
        """Inside it answers from another process; afterwards that process is gone."""
        async with SandboxServer.start(script=Script(opening=("unavailable",))) as server:
            assert server.pid != os.getpid()
            assert server.alive
            assert server.base_url == f"http://127.0.0.1:{server.port}/v1"
            assert [await ask(server), await ask(server)] == [503, 200]
            stats = await server.statistics()
            assert (stats["requests"], stats["completed"]) == (2, 1)
            assert stats["faults"]["unavailable"] == 1
            assert "alive" in repr(server)

        assert not server.alive
        assert "dead, exit code 0" in repr(server)
        assert not exists(server.pid)

    async def test_script_and_counts_change_at_run_time(self, shared: SandboxServer) -> None:
        """A new script takes effect; counts start again."""
        assert await ask(shared) == 200
        await shared.use_script(Script(faults=Faults(server_error=1.0)))
        assert await ask(shared) == 500
        await shared.reset_statistics()
        assert (await shared.statistics())["requests"] == 0

    async def test_port_is_closed_for_a_while(self, shared: SandboxServer) -> None:
        """Open connections are dropped, new ones refused, and then the same port is back."""
        assert await ask(shared) == 200
        await shared.refuse(0.3)
        refused = 0
        async with asyncio.timeout(5):
            while True:
                try:
                    assert await ask(shared) == 200
                except aiohttp.ClientConnectorError:
                    refused += 1
                else:
                    if refused:
                        break

                await asyncio.sleep(0.01)

        assert refused > 3

    async def test_pause(self, shared: SandboxServer) -> None:
        """A paused server takes requests and answers none; then it answers all."""
        server = shared
        async with asyncio.TaskGroup() as group:
            await server.pause()
            waiting = [group.create_task(ask(server)) for _ in range(3)]
            while (await server.statistics())["in_flight"] < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

            assert (await server.statistics())["completed"] == 0
            await server.resume()
            assert [await task for task in waiting] == [200] * 3

    async def test_model_seed_is_that_of_requests_without_one(self) -> None:
        """Two servers with one seed answer alike, one with another seed does not."""
        undecided = {**BODY, "messages": classify(("a", "b"), "zzz"), "temperature": 2.0, "n": 30}

        async def answer(model_seed: int) -> list[str]:
            async with (
                SandboxServer.start(model_seed=model_seed) as server,
                aiohttp.ClientSession() as session,
            ):
                url = f"{server.base_url}/chat/completions"
                async with session.post(url, json=undecided) as response:
                    choices = orjson.loads(await response.read())["choices"]
                    return [choice["message"]["content"] for choice in choices]

        async with asyncio.TaskGroup() as group:
            first, again, other = [group.create_task(answer(seed)) for seed in (5, 5, 6)]

        assert first.result() == again.result() != other.result()

    async def test_open_requests_do_not_delay_the_end(self) -> None:
        """A server full of waiting requests stops as fast as an idle one."""
        script = Script.from_json('{"latency": {"median_s": 60}}')
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            async with SandboxServer.start(script=script) as server:
                waiting = [group.create_task(give_up(server)) for _ in range(5)]
                while (await server.statistics())["in_flight"] < 5:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

                started = loop.time()

            assert loop.time() - started < 4

        assert all(task.done() for task in waiting)

    async def test_error_inside_the_context_is_not_replaced(self) -> None:
        """The caller's own error comes out, and the process ends all the same."""
        pids: list[int] = []

        async def fail() -> None:
            async with SandboxServer.start() as server:
                pids.append(server.pid)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()

        assert not exists(pids[0])

    async def test_cancelled_caller_leaves_no_process(self) -> None:
        """Cancellation passes through and the process ends."""
        pids: list[int] = []

        async def hold() -> None:
            async with SandboxServer.start() as server:
                pids.append(server.pid)
                await asyncio.Event().wait()

        task = asyncio.create_task(hold())
        while not pids:  # noqa: ASYNC110 - the other task appends
            await asyncio.sleep(0.01)

        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert not exists(pids[0])


async def give_up(server: SandboxServer) -> None:
    """Ask, and expect the server to go away."""
    with pytest.raises(aiohttp.ClientError):
        await ask(server)


@pytest.mark.chaos
class TestDeath:
    async def test_death_in_use_is_told(self) -> None:
        """Whoever used a server that was killed hears of it when the context ends."""

        async def use() -> None:
            async with SandboxServer.start() as server:
                os.kill(server.pid, signal.SIGKILL)
                with pytest.raises(SandboxError, match="no answer to GET"):
                    await server.statistics()

        with pytest.raises(SandboxError, match="died in use: exit code -9"):
            await use()

    async def test_it_dies_with_its_parent(self) -> None:
        """A parent killed without warning takes the server with it."""
        program = """
            import asyncio, os
            from dspex.sandbox import SandboxServer

            async def main():
                async with SandboxServer.start() as server:
                    print(server.pid, flush=True)
                    await asyncio.Event().wait()

            asyncio.run(main())
        """
        path = os.pathsep.join(entry for entry in sys.path if entry)
        parent = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            textwrap.dedent(program),
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert parent.stdout is not None
        pid = int(await parent.stdout.readline())
        assert exists(pid)
        parent.kill()
        await parent.wait()
        async with asyncio.timeout(5):
            while exists(pid):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)

    async def test_it_is_killed_when_it_does_not_stop(self) -> None:
        """A server that no longer reacts is killed after the time it is given to stop."""
        async with SandboxServer.start(stop_timeout_s=0.05) as server:
            os.kill(server.pid, signal.SIGSTOP)

        assert not exists(server.pid)

    async def test_it_is_killed_when_stopping_is_cancelled(self) -> None:
        """Whoever has no patience for the stop leaves no process either."""
        pids: list[int] = []

        async def use() -> None:
            async with (
                asyncio.timeout(None) as patience,
                SandboxServer.start(stop_timeout_s=60.0) as server,
            ):
                os.kill(server.pid, signal.SIGSTOP)
                pids.append(server.pid)
                patience.reschedule(asyncio.get_running_loop().time() + 0.05)

        with pytest.raises(TimeoutError):
            await use()

        async with asyncio.timeout(2):
            while exists(pids[0]):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)


class TestStart:
    async def test_port_in_use(self) -> None:
        """The error carries what the process printed: the port and the reason."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(SandboxError, match=f"did not start: exit code 1.*{port}.*in use"):
                async with SandboxServer.start(port=port):
                    pytest.fail("it must not start")

    async def test_silence(self) -> None:
        """A server that does not come up in time is given up, and killed."""
        with pytest.raises(SandboxError, match=r"said nothing for 0\.001 s"):
            async with SandboxServer.start(start_timeout_s=0.001):
                pytest.fail("it must not start")

    async def test_no_interpreter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An interpreter that cannot be run is named."""
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        with pytest.raises(SandboxError, match="cannot run '/nowhere/python'"):
            async with SandboxServer.start():
                pytest.fail("it must not start")
