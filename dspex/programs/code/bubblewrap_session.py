"""One session of CPython in a sandbox: the conversation with its worker."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from dspex.errors import InterpreterError
from dspex.programs.code.interpreter import CodeOutcome, SubmitError, plain_value, well_formed
from dspex.programs.code.syscalls import syscall_filter
from dspex.types.tool_schema import is_table

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Mapping

    from dspex.programs.code.interpreter import HostFunction

__all__ = ("BubblewrapSession",)

_START_S: Final = 30.0
_END_S: Final = 10.0


class BubblewrapSession:
    """One worker process, started with the first piece of code."""

    def __init__(
        self,
        command: tuple[str, ...],
        functions: Mapping[str, HostFunction],
        *,
        timeout_s: float,
        max_memory_mb: int,
        max_output_chars: int,
        max_calls: int,
        bwrap: str | None,
    ) -> None:
        numbers = (str(max_output_chars), str(max_memory_mb * 1_000_000))
        self._command = (*command, json.dumps(list(functions)), *numbers, syscall_filter().hex())
        self._functions = functions
        self._timeout_s = timeout_s
        self._calls_left = max_calls
        self._line_bytes = max_output_chars * 12 + 1_000_000
        self._process: Process | None = None
        self._ready = False

    async def run(self, code: str, variables: Mapping[str, Any] | None = None) -> CodeOutcome:
        """Run a piece of code; see `CodeSession.run`."""
        try:
            return await self._talk({"code": code, "variables": dict(variables or {})})
        except SubmitError:
            await self.kill()
            return CodeOutcome()
        except TimeoutError:
            await self.kill()
            late = f"TimeoutError: it ran for more than {self._timeout_s:g} s"
            return CodeOutcome(error=late, lost=True)
        except (OSError, ValueError, EOFError, KeyError, TypeError, RecursionError) as exc:
            await self.kill()
            return CodeOutcome(error=f"the interpreter died or spoke nonsense: {exc}", lost=True)
        except BaseException:
            await self.kill()
            raise

    async def kill(self) -> None:
        """End the process, and with it everything in its namespaces."""
        process, self._process = self._process, None
        if process is None:
            return

        # Even if we are cancelled meanwhile.
        await asyncio.shield(_ended(process, ready=self._ready))

    async def _talk(self, asked: dict[str, Any]) -> CodeOutcome:
        process = await self._started()
        left_s = self._timeout_s
        while True:
            began = asyncio.get_running_loop().time()
            answer = await self._told(process, asked, left_s)
            left_s -= asyncio.get_running_loop().time() - began
            if "call" not in answer:
                return _outcome(answer)

            asked = await self._called(answer)

    async def _told(
        self, process: Process, asked: Mapping[str, Any], timeout_s: float
    ) -> Mapping[str, Any]:
        assert process.stdin is not None
        async with asyncio.timeout(timeout_s):
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            await process.stdin.drain()
            return await _heard(process)

    async def _called(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        name = asked["call"]
        self._calls_left -= 1
        if self._calls_left < 0:
            return {"error": f"{name}: there are no calls left"}

        try:
            return {"value": await self._functions[name](*asked["args"], **asked["kwargs"])}
        except SubmitError:
            raise
        except Exception as exc:
            return {"error": f"{name}: {exc}"}

    async def _started(self) -> Process:
        if self._process is not None:
            return self._process

        self._ready = False
        process = await self._spawned()
        try:
            async with asyncio.timeout(_START_S):
                await _heard(process)  # that the limits are in force; no code has run before
        except (EOFError, ValueError, TypeError) as exc:
            raise InterpreterError(
                f"the sandbox cannot be made: {await _complaint(process)}; allow user namespaces "
                "to this process, or use MontyInterpreter"
            ) from exc
        except TimeoutError as exc:
            raise InterpreterError(f"the sandbox did not start within {_START_S:g} s") from exc

        self._ready = True
        return process

    async def _spawned(self) -> Process:
        starting = asyncio.ensure_future(  # noqa: TID251 - awaited here, come what may
            asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                # `--clearenv` clears the code's own; that of bwrap, the sandbox's first process,
                # could be read in /proc, and with it our keys.
                env={},
                limit=self._line_bytes,
            )
        )
        try:
            # Never cancelled itself, which would kill it too early: see `_ended`.
            process = await asyncio.shield(starting)
        except OSError as exc:
            raise InterpreterError(f"{self._command[0]!r} cannot be started: {exc}") from exc
        except asyncio.CancelledError:
            await asyncio.wait({starting})
            self._process = starting.result()
            raise

        self._process = process
        return process


async def _heard(process: Process) -> Mapping[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise EOFError("it has ended; it may have used too much memory")

    heard: Any = json.loads(line)
    if not is_table(heard):
        raise TypeError(f"{line[:200]!r}")

    return heard


async def _ended(process: Process, *, ready: bool) -> None:
    assert process.stdin is not None
    if not ready:
        # The process that `bwrap` forks dies with it only once that is arranged: until then it
        # would be left behind, with our pipes.
        with suppress(EOFError, ValueError, TypeError, TimeoutError):
            async with asyncio.timeout(_END_S):
                await _heard(process)

    with suppress(ProcessLookupError):
        process.kill()

    process.stdin.close()
    # A pipe is closed when it has been read to its end, and not before.
    with suppress(TimeoutError):
        async with asyncio.timeout(_END_S):
            await process.communicate()


async def _complaint(process: Process) -> str:
    assert process.stderr is not None
    with suppress(ProcessLookupError):
        process.kill()

    said = await process.stderr.read(10_000)
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it ended without a word"


def _outcome(answer: Mapping[str, Any]) -> CodeOutcome:
    error = answer["error"]
    return CodeOutcome(
        well_formed(str(answer["output"])),
        plain_value(answer["value"]),
        error=None if error is None else well_formed(str(error)),
    )
