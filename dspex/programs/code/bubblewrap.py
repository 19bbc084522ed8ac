"""CPython in namespaces of its own: no network, no files but the system's, read-only."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dspex.errors import InterpreterError
from dspex.programs.agents import check_positive
from dspex.programs.code.bubblewrap_session import BubblewrapSession
from dspex.recipe import Recipe

if TYPE_CHECKING:
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
    ) -> AsyncGenerator[BubblewrapSession, None]:
        """Open a session whose code may call `functions`; see `Interpreter.session`."""
        session = BubblewrapSession(self.command(), functions or {}, **self._numbers)
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
