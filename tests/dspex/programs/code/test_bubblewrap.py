"""CPython in namespaces; where there is no `bwrap`, the conversation with its worker alone."""

from __future__ import annotations

import asyncio
import json
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

    async def test_calls_are_bounded(self, stand_in: str) -> None:
        """In number, and by the time the code takes between them."""
        loop = "while True: double(1)"
        interpreter = BubblewrapInterpreter(timeout_s=5, max_calls=10, bwrap=stand_in)
        async with interpreter.session(FUNCTIONS) as session:
            assert "there are no calls left" in str((await session.run(loop)).error)

        async with BubblewrapInterpreter(timeout_s=0.5, bwrap=stand_in).session(
            FUNCTIONS
        ) as session:
            slow = "import time\nwhile True:\n    time.sleep(0.1)\n    double(1)"
            assert "more than 0.5 s" in str((await session.run(slow)).error)

    @pytest.mark.parametrize(
        "line",
        ["'[' * 200_000", r"""'{"output": "\\ud800", "value": "\\ud800", "error": ["x"]}'"""],
        ids=["nested too deeply", "half a character"],
    )
    async def test_a_forged_answer_stays_data(self, session: Any, line: str) -> None:
        """Whatever the code writes into the pipe itself, the outcome can be shown and stored."""
        forged = WRITE.replace("b'{}\\n'", f"({line}).encode() + b'\\n'")
        outcomes = [await session.run(forged), await session.run("1 + 1")]
        for outcome in outcomes:
            assert isinstance(outcome, CodeOutcome)
            outcome.shown().encode()
            json.dumps(outcome.to_json(), ensure_ascii=False).encode()

        assert any(
            "nested" in o.shown() or "recursion" in o.shown() or "x" in o.shown() for o in outcomes
        )

    async def test_cancelling_leaves_it_usable(self, session: Any) -> None:
        """The process is killed with the call, also while it starts."""
        for pauses in (1, 2, 3, 5):
            task = asyncio.create_task(session.run("while True: pass"))
            for _ in range(pauses):
                await asyncio.sleep(0)

            task.cancel()
            async with asyncio.timeout(10):
                await asyncio.wait({task})

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

        for option in ("--cap-drop ALL", "--disable-userns", "--remount-ro / "):
            assert option in " ".join(command)

        assert "--bind" not in command
        assert "--share-net" not in command
        assert str(Path.home()) not in command

    def test_a_python_beside_the_users_files_is_refused(
        self, stand_in: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The sandbox would see them with it."""
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "python"))
        with pytest.raises(InterpreterError, match="beside the user's files"):
            BubblewrapInterpreter(bwrap=stand_in).command()

    async def test_a_sandbox_that_cannot_be_made_ends_the_program(self, tmp_path: Path) -> None:
        """It is no mistake of the code; the error has the words of `bwrap`."""
        refusing = tmp_path / "bwrap"
        refusing.write_text(
            "#!/bin/sh\necho 'bwrap: No permissions to create namespace' >&2\nexit 1\n"
        )
        refusing.chmod(refusing.stat().st_mode | stat.S_IXUSR)
        async with BubblewrapInterpreter(bwrap=str(refusing)).session() as session:
            with pytest.raises(InterpreterError, match="No permissions to create namespace"):
                await session.run("1 + 1")


needs_bwrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="bubblewrap (bwrap) is not installed"
)


def workers() -> int:
    """Count the workers on this machine."""
    return running(b"def serve(functions")


def sandboxes() -> int:
    """Count the processes of sandboxes, those that are not made yet included."""
    return running(b"--unshare-all")


def running(words: bytes) -> int:
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += words in path.read_bytes()
        except OSError:
            continue

    return found


@needs_bwrap
async def test_the_process_ends_with_the_session() -> None:
    """Even one that is busy, and was never waited for."""
    before = workers()
    async with BubblewrapInterpreter(timeout_s=5).session() as session:
        task = asyncio.create_task(session.run("while True: pass"))
        async with asyncio.timeout(10):
            while workers() == before:  # noqa: ASYNC110 - processes have no event of ours
                await asyncio.sleep(0.01)

        task.cancel()

    async with asyncio.timeout(10):
        while workers() > before:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)


@needs_bwrap
@pytest.mark.parametrize("pauses", range(1, 12, 2))
async def test_cancelled_while_it_starts(pauses: int) -> None:
    """Nothing hangs, and no half-made sandbox is left behind."""
    before = sandboxes()
    async with BubblewrapInterpreter(timeout_s=5).session() as session:
        task = asyncio.create_task(session.run("while True: pass"))
        for _ in range(pauses):
            await asyncio.sleep(0.001)

        task.cancel()
        async with asyncio.timeout(10):
            await asyncio.wait({task})

    async with asyncio.timeout(10):
        while sandboxes() > before:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)


CALL = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nassert libc.{} == 0\n"


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
        # As root, all of these went through before capabilities were dropped.
        CALL.format("mount(b'none', b'/usr/bin', None, 32 | 4096, None)"),
        CALL.format("unshare(0x10000000)"),
        CALL.format("ptrace(16, 1, 0, 0)"),
        "open('/proc/sys/kernel/core_pattern', 'w')",
        "open('/x', 'w')",
        "open('/dev/shm/x', 'w')",
        "with open('f', 'wb') as f:\n    for _ in range(100): f.write(bytes(10**6))",
        "import os\nos.fork()",
        "import os\nos.memfd_create('x')",
        "import subprocess\nsubprocess.run(['/bin/true'])",
        "import threading\nthreading.Thread(target=print).start()",
        "import socket\nsocket.socket(socket.AF_UNIX)",
        "import socket\nsocket.socket(40)  # AF_VSOCK, which no namespace holds back",
        "import os\nos.listdir('/usr/src')",
        "import os\nos.symlink('/etc/passwd', 'p')\nopen('p').read()",
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
