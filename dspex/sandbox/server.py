"""A sandbox server in a second process, held by a context manager."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import orjson

from dspex.errors import SandboxError
from dspex.sandbox.model import MODEL_ID
from dspex.sandbox.script import Script

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ("SandboxServer",)

_HOST: Final = "127.0.0.1"
_START_TIMEOUT_S: Final = 20.0
_STOP_TIMEOUT_S: Final = 5.0
_ADMIN_TIMEOUT_S: Final = 30.0
_TAIL_CHARS: Final = 2000


class SandboxServer:
    """A running sandbox server; get one from `start`.

    The server is a separate process on loopback. It ends when its context ends, and when this
    process dies in whatever way: it watches a pipe that only this process holds.
    """

    def __init__(self, process: Process, port: int) -> None:
        """Take over a process that already listens on `port`; use `start` instead."""
        self._process = process
        self.port = port
        self.root_url = f"http://{_HOST}:{port}"
        self.base_url = f"{self.root_url}/v1"
        self.model = MODEL_ID

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        *,
        script: Script | None = None,
        model_seed: int = 0,
        port: int = 0,
        start_timeout_s: float = _START_TIMEOUT_S,
        stop_timeout_s: float = _STOP_TIMEOUT_S,
    ) -> AsyncGenerator[SandboxServer]:
        """Run a server for the duration of the context; port 0 lets the system choose a free one.

        Raises:
            SandboxError: it did not start within `start_timeout_s` (the port is taken, say), or it
                died before the context ended.
        """
        process = await _launch(script or Script(), model_seed, port)
        try:
            yield cls(process, await _announced_port(process, start_timeout_s))
        except BaseException:
            await _stop(process, stop_timeout_s)
            raise

        if not await _stop(process, stop_timeout_s):
            raise SandboxError(f"the sandbox server died in use: {await _obituary(process)}")

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs, as far as this loop has heard."""
        return self._process.returncode is None

    async def statistics(self) -> dict[str, Any]:
        """Return the server's own counts; see `dspex.sandbox.ledger.Ledger`."""
        return await self._ask("GET", "/stats")

    async def reset_statistics(self) -> None:
        """Set the counts back to zero."""
        await self._ask("DELETE", "/stats")

    async def use_script(self, script: Script) -> None:
        """Replace the script; the requests of the new one are counted from 0."""
        await self._ask("POST", "/script", script.to_json().encode())

    async def pause(self) -> None:
        """Make the server answer nothing from now on; requests pile up until `resume`."""
        await self._ask("POST", "/pause")

    async def resume(self) -> None:
        """Let a paused server go on, with what has piled up first."""
        await self._ask("POST", "/resume")

    async def refuse(self, for_s: float, *, drop: bool = True) -> None:
        """Close the server's port for `for_s` seconds, within some 10 ms; then it opens again.

        New connections are refused meanwhile. `drop` also resets those that are open, in use or
        not.
        """
        body = orjson.dumps({"for_s": for_s, "drop": drop})
        await self._ask("POST", "/refuse", body)

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        """Send one request to the server's own routes."""
        url = f"{self.root_url}{path}"
        timeout = aiohttp.ClientTimeout(total=_ADMIN_TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(method, url, data=body) as response,
            ):
                answer = orjson.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError) as exc:
            state = "runs" if self.alive else "is dead"
            raise SandboxError(f"no answer to {method} {url}; the server {state}: {exc!r}") from exc

        if response.status != 200:
            raise SandboxError(f"{method} {url} was refused: {answer['error']['message']}")

        return dict(answer)

    def __repr__(self) -> str:
        """Show where it listens and whether it lives."""
        state = "alive" if self.alive else f"dead, exit code {self._process.returncode}"
        return f"<SandboxServer {self.base_url} pid={self.pid} {state}>"


async def _launch(script: Script, model_seed: int, port: int) -> Process:
    """Start the process with this interpreter and this interpreter's import path."""
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "dspex.sandbox",
            f"--port={port}",
            f"--model-seed={model_seed}",
            f"--script={script.to_json()}",
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": path},
        )
    except OSError as exc:
        raise SandboxError(f"cannot run {sys.executable!r}: {exc}") from exc


async def _announced_port(process: Process, timeout_s: float) -> int:
    """Return the port that the server prints once it listens."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(timeout_s):
            line = await process.stdout.readline()
    except TimeoutError as exc:
        raise SandboxError(f"the sandbox server said nothing for {timeout_s} s") from exc

    try:
        return int(orjson.loads(line)["port"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as exc:
        said = line.decode(errors="replace")
        raise SandboxError(
            f"the sandbox server did not start: {await _obituary(process, said)}"
        ) from exc


async def _obituary(process: Process, said: str = "") -> str:
    """Return the exit code of a process that is ending, and the end of what it printed."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            said += (await process.stdout.read()).decode(errors="replace")
            await process.wait()
    except TimeoutError:
        said += " (and it still runs)"

    return f"exit code {process.returncode}, output: {said.strip()[-_TAIL_CHARS:]!r}"


async def _stop(process: Process, timeout_s: float) -> bool:
    """Close the pipe that the server watches and wait for its end; kill it if that takes too long.

    Return False when it had died before, by a signal or with an error.
    """
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(timeout_s):
            return await process.wait() == 0
    except TimeoutError:
        process.kill()
        await process.wait()
        return True
    except asyncio.CancelledError:
        if process.returncode is None:
            process.kill()

        raise
