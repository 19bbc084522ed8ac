"""CPython in namespaces; where there is no `bwrap`, the conversation with its worker alone."""

from __future__ import annotations

import asyncio
import shutil
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dspex import recipe
from dspex.errors import InterpreterError
from dspex.programs.code import BubblewrapInterpreter, CodeOutcome, HostFunction, SubmitError

# As the real one takes its arguments, without being a sandbox: for the conversation alone.
STAND_IN = """#!/bin/sh
while [ "$1" != "--" ]; do shift; done
shift
exec "$@"
"""


# Finds the pipe to the host, whatever its number, and writes a line into it.
WRITE = """
import os
for number in range(3, 9):
    try:
        os.write(number, b'{}\\n')
    except OSError:
        pass
"""


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return number * 2


async def broken() -> None:
    raise LookupError("gone")


async def submit() -> None:
    raise SubmitError


FUNCTIONS: dict[str, HostFunction] = {"double": double, "broken": broken, "submit": submit}


@pytest.fixture
def stand_in(tmp_path: Path) -> str:
    path = tmp_path / "bwrap"
    path.write_text(STAND_IN)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
async def session(stand_in: str) -> AsyncIterator[Any]:
    interpreter = BubblewrapInterpreter(timeout_s=2, max_output_chars=1_000, bwrap=stand_in)
    async with interpreter.session(FUNCTIONS) as opened:
        yield opened


class TestTheConversation:
    async def test_output_value_and_variables(self, session: Any) -> None:
        """Variables stay from one piece of code to the next."""
        assert await session.run("x = n\nprint('hi')\nx + 1", {"n": 2}) == CodeOutcome("hi\n", 3)
        assert (await session.run("(x, {1: 2})")).value == [2, {"1": 2}]

    async def test_host_functions(self, session: Any) -> None:
        """They are called plainly; what they raise can be caught."""
        assert (await session.run("[double(n) for n in range(3)]")).value == [0, 2, 4]
        code = "try:\n    broken()\nexcept RuntimeError as e:\n    x = str(e)\nx"
        assert (await session.run(code)).value == "broken: gone"
        assert (await session.run("submit()\nprint('after')")).output == ""

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("1 / 0", "ZeroDivisionError"),
            ("def f(:", "SyntaxError"),
            ("raise SystemExit(3)", "SystemExit"),
            ("missing", "NameError"),
        ],
    )
    async def test_what_code_does_wrong_is_told(self, session: Any, code: str, words: str) -> None:
        """And the session goes on."""
        await session.run("kept = 1")
        assert words in (await session.run(code)).error
        assert (await session.run("kept")).value == 1

    @pytest.mark.parametrize(
        "code",
        [
            "import os\nos._exit(1)",
            WRITE.format("nonsense"),
            WRITE.format('{{"call": 3}}'),
        ],
        ids=["exit", "nonsense", "a call of nothing"],
    )
    async def test_a_worker_that_misbehaves_is_replaced(self, session: Any, code: str) -> None:
        """The model is told that its variables are gone, where they are."""
        await session.run(code)
        outcomes = [await session.run("1 + 1") for _ in range(3)]
        assert outcomes[-1].value == 2

    async def test_an_endless_loop_is_killed(self, stand_in: str) -> None:
        """After its time, and the session begins anew."""
        interpreter = BubblewrapInterpreter(timeout_s=0.5, bwrap=stand_in)
        async with interpreter.session() as session:
            outcome = await session.run("while True: pass")
            assert outcome.lost
            assert "more than 0.5 s" in str(outcome.error)
            assert (await session.run("1 + 1")).value == 2

    async def test_output_is_bounded(self, session: Any) -> None:
        """Only its beginning comes over."""
        outcome = await session.run("print('y' * 10**7)")
        assert len(outcome.output) < 1_100
        assert "cut off" in outcome.output

    async def test_cancelling_leaves_it_usable(self, session: Any) -> None:
        """The process is killed with the call."""
        task = asyncio.create_task(session.run("while True: pass"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert (await session.run("1 + 1")).value == 2


class TestTheInterpreter:
    async def test_without_bwrap_nothing_is_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error says what to install, or to take instead."""
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(InterpreterError, match="MontyInterpreter"):
            async with BubblewrapInterpreter().session():
                pytest.fail("a session was opened")

    def test_is_a_value(self) -> None:
        """Equal by its numbers, and built again from its recipe."""
        interpreter = BubblewrapInterpreter(timeout_s=3)
        assert recipe.build(recipe.recipe_of(interpreter)) == interpreter
        assert interpreter != BubblewrapInterpreter()

    def test_the_command_closes_every_door(self, stand_in: str) -> None:
        """Namespaces of its own, no environment, the system read-only, nothing of the user's."""
        command = BubblewrapInterpreter(bwrap=stand_in).command()
        for option in ("--unshare-all", "--die-with-parent", "--new-session", "--clearenv"):
            assert option in command

        assert "--bind" not in command
        assert "--share-net" not in command
        assert str(Path.home()) not in command


needs_bwrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="bubblewrap (bwrap) is not installed"
)


def workers() -> int:
    """Count the workers on this machine, forked ones included."""
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += b"def serve(functions" in path.read_bytes()
        except OSError:
            continue

    return found


@needs_bwrap
async def test_what_code_starts_ends_with_the_session() -> None:
    """Processes are refused, or stay in the sandbox and are killed with it."""
    before = workers()
    async with BubblewrapInterpreter(timeout_s=5).session() as session:
        code = "import os, time\nfor _ in range(3):\n    if os.fork() == 0: time.sleep(60)"
        await session.run(code)
        assert workers() > before

    async with asyncio.timeout(10):
        while workers() > before:  # noqa: ASYNC110 - processes have no event of ours
            await asyncio.sleep(0.01)


@needs_bwrap
@pytest.mark.parametrize(
    "code",
    [
        "import socket\nsocket.create_connection(('127.0.0.1', 80), 1)",
        "open('/proc/1/environ').read()[0]",
        "open('/proc/self/environ').read().index('SECRET')",
        "import os\nos.environ['SECRET_OF_OURS']",
        f"open({__file__!r}).read()",
        "open('/etc/passwd').read()",
        "open('/usr/x', 'w')",
        "x = 'a' * 10**10",
    ],
)
async def test_in_the_real_sandbox_nothing_is_reached(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No network, no environment of ours, no files, bounded memory."""
    monkeypatch.setenv("SECRET_OF_OURS", "sk-0123")
    async with BubblewrapInterpreter(timeout_s=5, max_memory_mb=256).session() as session:
        assert (await session.run(code)).error is not None
        assert (await session.run("1 + 1")).value == 2
