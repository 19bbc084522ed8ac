"""CPython in namespaces of its own: no network, no files but the system's, read-only."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dspex.errors import InterpreterError
from dspex.programs.agents import check_positive
from dspex.programs.code.interpreter import (
    CodeOutcome,
    SubmitError,
    plain_value,
    well_formed,
)
from dspex.programs.code.syscalls import syscall_filter
from dspex.recipe import Recipe
from dspex.types.tool_schema import is_table

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator, Mapping

    from dspex.programs.code.interpreter import HostFunction

__all__ = ("BubblewrapInterpreter",)

_SYSTEM: Final = (
    "/usr/bin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/zoneinfo",
    "/lib",
    "/lib64",
    "/bin",
    "/etc/alternatives",
)
_HOME: Final = "/sandbox"
_HOME_MB: Final = 64
_START_S: Final = 30.0
_END_S: Final = 10.0
_NOTES: Final = (
    "CPython with its standard library, in a sandbox without network, processes or files that "
    "last. Functions you are given are called plainly, without `await`. Variables stay from one "
    "piece of code to the next. Print what you want to see."
)


class BubblewrapInterpreter:
    """Runs code in CPython inside bubblewrap (`bwrap`), on Linux; each session is a process.

    The sandbox has namespaces of its own for users, processes, network and the rest, no
    capabilities, sees the system's programs and libraries read-only and no other files but Python
    itself and 64 MB that end with it, has no environment, and ends with us. A filter of system
    calls refuses processes, threads and sockets, to root as well. A value: equal by its numbers,
    saved with the program.

    Args:
        timeout_s: of one piece of code, waiting for host functions aside; the session is killed
            then.
        max_memory_mb: of address space.
        max_output_chars: of what one piece of code prints.
        max_calls: of host functions, in one session.
        bwrap: the program; None looks for it on the path.
    """

    def __init__(
        self,
        *,
        timeout_s: float = 10.0,
        max_memory_mb: int = 1_024,
        max_output_chars: int = 100_000,
        max_calls: int = 10_000,
        bwrap: str | None = None,
    ) -> None:
        check_positive(
            timeout_s=timeout_s,
            max_memory_mb=max_memory_mb,
            max_output_chars=max_output_chars,
            max_calls=max_calls,
        )
        self._numbers: dict[str, Any] = {
            "timeout_s": timeout_s,
            "max_memory_mb": max_memory_mb,
            "max_output_chars": max_output_chars,
            "max_calls": max_calls,
            "bwrap": bwrap,
        }

    def __repr__(self) -> str:
        return f"<BubblewrapInterpreter {self._numbers}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BubblewrapInterpreter) and self._numbers == other._numbers

    def __hash__(self) -> int:
        return hash(tuple(self._numbers.items()))

    @property
    def notes(self) -> str:
        """What a model must know to write code for it."""
        return _NOTES

    @asynccontextmanager
    async def session(
        self, functions: Mapping[str, HostFunction] | None = None
    ) -> AsyncGenerator[_Session, None]:
        """Open a session whose code may call `functions`; see `Interpreter.session`."""
        session = _Session(self.command(), functions or {}, **self._numbers)
        try:
            yield session
        finally:
            await session.kill()

    def command(self) -> tuple[str, ...]:
        """Return the command of one worker, without its arguments.

        Raises:
            InterpreterError: `bwrap` is not there.
        """
        bwrap = shutil.which(self._numbers["bwrap"] or "bwrap")
        if bwrap is None:
            raise InterpreterError(
                "bubblewrap (`bwrap`) is not installed, and code of a model is never run without "
                "a sandbox: install it, or use MontyInterpreter"
            )

        # Root keeps its capabilities in a sandbox that does not drop them, and could make what is
        # mounted read-only writable again.
        sandbox = (
            *(bwrap, "--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"),
            *("--die-with-parent", "--new-session", "--clearenv"),
        )
        home = ("--size", str(_HOME_MB * 1_000_000), "--tmpfs", _HOME, "--chdir", _HOME)
        frozen = [word for path in ("/dev", "/proc", "/") for word in ("--remount-ro", path)]
        python = (os.path.realpath(sys.executable), "-s", "-P", "-B", "-u", "-c", _worker())
        return (
            *sandbox,
            *_mounts(),
            *("--proc", "/proc", "--dev", "/dev", *home, *frozen),
            *("--setenv", "TMPDIR", _HOME, "--setenv", "PYTHONHASHSEED", "0", "--"),
            *python,
        )

    def recipe(self) -> Recipe:
        """Return how to build an equal interpreter in another process."""
        return Recipe(f"{type(self).__module__}:{type(self).__qualname__}", dict(self._numbers))


class _Session:
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

        with suppress(ProcessLookupError):
            process.kill()

        # It is killed: what is left is to collect it, even if we are cancelled meanwhile.
        await asyncio.shield(_collected(process))

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

        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                # `--clearenv` clears the code's own; that of bwrap, the sandbox's first process,
                # could be read in /proc, and with it our keys.
                env={},
                limit=self._line_bytes,
            )
        except OSError as exc:
            raise InterpreterError(f"{self._command[0]!r} cannot be started: {exc}") from exc

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


async def _collected(process: Process) -> None:
    assert process.stdin is not None
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


def _mounts() -> tuple[str, ...]:
    """Return what of the system the sandbox sees, read-only: programs and libraries."""
    found: list[str] = []
    for path in map(Path, _SYSTEM):
        if path.is_symlink():
            found += ("--symlink", str(path.readlink()), str(path))
        elif path.exists():
            found += ("--ro-bind", str(path), str(path))

    prefix = Path(os.path.realpath(sys.executable)).parent.parent
    if Path.home().is_relative_to(prefix):
        raise InterpreterError(
            f"Python is installed in {str(prefix)!r}, beside the user's files, which the sandbox "
            "would see with it: use a Python in a folder of its own, or MontyInterpreter"
        )

    if prefix != Path("/usr"):
        parts = (str(prefix / name) for name in ("bin", "lib"))
        found += (word for part in parts for word in ("--ro-bind", part, part))

    return tuple(found)


def _worker() -> str:
    return (Path(__file__).parent / "worker.py").read_text(encoding="utf-8")
