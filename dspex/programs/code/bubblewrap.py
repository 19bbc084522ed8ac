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
from dspex.programs.code.interpreter import CodeOutcome, SubmitError
from dspex.recipe import Recipe
from dspex.types.tool_schema import is_table

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator, Mapping

    from dspex.programs.code.interpreter import HostFunction

__all__ = ("BubblewrapInterpreter",)

_SYSTEM: Final = ("/usr", "/lib", "/lib64", "/bin", "/etc/alternatives")
_HOME: Final = "/sandbox"
_NOTES: Final = (
    "CPython with its standard library, in a sandbox without network, processes or files that "
    "last. Functions you are given are called plainly, without `await`. Variables stay from one "
    "piece of code to the next. Print what you want to see."
)


class BubblewrapInterpreter:
    """Runs code in CPython inside bubblewrap (`bwrap`), on Linux; each session is a process.

    The sandbox has namespaces of its own for users, processes, network and the rest, sees the
    system's files read-only and none of the user's but Python itself, has no environment, and ends
    with us. Time and memory are limited by us and by `prlimit`. Code cannot start processes, except
    where we run as root, whom the kernel does not limit: there they stay in the sandbox and are
    killed with it. A value: equal by its numbers, saved with the program.

    Args:
        timeout_s: between two calls of host functions; the session is killed then.
        max_memory_mb: of address space.
        max_output_chars: of what one piece of code prints.
        bwrap: the program; None looks for it on the path.
    """

    def __init__(
        self,
        *,
        timeout_s: float = 10.0,
        max_memory_mb: int = 1_024,
        max_output_chars: int = 100_000,
        bwrap: str | None = None,
    ) -> None:
        check_positive(
            timeout_s=timeout_s, max_memory_mb=max_memory_mb, max_output_chars=max_output_chars
        )
        self._numbers: dict[str, Any] = {
            "timeout_s": timeout_s,
            "max_memory_mb": max_memory_mb,
            "max_output_chars": max_output_chars,
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
        session = _Session(self.command(), functions or {}, **self._limits())
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

        prlimit = shutil.which("prlimit")
        memory = self._numbers["max_memory_mb"] * 1_000_000
        limits = (prlimit, f"--as={memory}", "--core=0") if prlimit else ()
        sandbox = (bwrap, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv")
        python = (os.path.realpath(sys.executable), "-s", "-P", "-B", "-u", "-c", _worker())
        return (
            *limits,
            *sandbox,
            *_mounts(),
            *("--proc", "/proc", "--dev", "/dev", "--tmpfs", _HOME, "--chdir", _HOME),
            *("--setenv", "TMPDIR", _HOME, "--setenv", "PYTHONHASHSEED", "0", "--"),
            *python,
        )

    def recipe(self) -> Recipe:
        """Return how to build an equal interpreter in another process."""
        return Recipe(f"{type(self).__module__}:{type(self).__qualname__}", dict(self._numbers))

    def _limits(self) -> dict[str, Any]:
        return {name: self._numbers[name] for name in ("timeout_s", "max_output_chars")}


class _Session:
    """One worker process, started with the first piece of code."""

    def __init__(
        self,
        command: tuple[str, ...],
        functions: Mapping[str, HostFunction],
        *,
        timeout_s: float,
        max_output_chars: int,
    ) -> None:
        self._command = (*command, json.dumps(list(functions)), str(max_output_chars))
        self._functions = functions
        self._timeout_s = timeout_s
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
        except (OSError, ValueError, EOFError, KeyError, TypeError) as exc:
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
        await asyncio.shield(process.wait())

    async def _talk(self, asked: dict[str, Any]) -> CodeOutcome:
        process = await self._started()
        assert process.stdin is not None
        while True:
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            answer = await self._heard(process)
            if "call" not in answer:
                return CodeOutcome(str(answer["output"]), answer["value"], error=answer["error"])

            asked = await self._called(answer)

    async def _heard(self, process: Process) -> Mapping[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        async with asyncio.timeout(self._timeout_s):
            await process.stdin.drain()
            line = await process.stdout.readline()

        if not line:
            raise EOFError("it has ended; it may have used too much memory")

        heard: Any = json.loads(line)
        if not is_table(heard):
            raise TypeError(f"{line[:200]!r}")

        return heard

    async def _called(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        name = asked["call"]
        try:
            return {"value": await self._functions[name](*asked["args"], **asked["kwargs"])}
        except SubmitError:
            raise
        except Exception as exc:
            return {"error": f"{name}: {exc}"}

    async def _started(self) -> Process:
        if self._process is None:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,
                    # `--clearenv` clears the code's own; that of bwrap, the sandbox's first
                    # process, could be read in /proc, and with it our keys.
                    env={},
                    limit=self._line_bytes,
                )
            except OSError as exc:
                raise InterpreterError(f"{self._command[0]!r} cannot be started: {exc}") from exc

        return self._process


def _mounts() -> tuple[str, ...]:
    """Return what of the system the sandbox sees, read-only: programs and libraries."""
    found: list[str] = []
    for path in map(Path, _SYSTEM):
        if path.is_symlink():
            found += ("--symlink", str(path.readlink()), str(path))
        elif path.exists():
            found += ("--ro-bind", str(path), str(path))

    prefix = Path(os.path.realpath(sys.executable)).parent.parent
    if not prefix.is_relative_to("/usr"):
        found += ("--ro-bind", str(prefix), str(prefix))

    return tuple(found)


def _worker() -> str:
    return (Path(__file__).parent / "worker.py").read_text(encoding="utf-8")
