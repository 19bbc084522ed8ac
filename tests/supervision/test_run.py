"""Programs: signals, exit codes, handlers. Each runs in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import supervision
from supervision import run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")

ROOT = Path(supervision.__file__).parents[1]

PROGRAM = """
    import asyncio, os, signal, sys
    from supervision import ChildSpec, Supervisor, run

    def note(text):
        print(text, flush=True)

    async def child(name, seconds, *, ready):
        ready()
        try:
            await asyncio.Event().wait()
        finally:
            note("stopping " + name)
            try:
                await asyncio.sleep(seconds)
                note("stopped " + name)
            except asyncio.CancelledError:
                note("cut " + name)
                raise
"""


def execute(main: str, *signals: tuple[str, signal.Signals]) -> tuple[int, list[str]]:
    """Run the program; send each signal when its line appears; return code and lines."""
    source = textwrap.dedent(PROGRAM) + textwrap.dedent(main)
    process = subprocess.Popen(
        [sys.executable, "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    lines: list[str] = []
    waiting = list(signals)
    assert process.stdout is not None
    with process:
        for line in process.stdout:
            lines.append(line.strip())
            if waiting and lines[-1] == waiting[0][0]:
                process.send_signal(waiting.pop(0)[1])

    return process.returncode, lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_stops_in_order(number: signal.Signals) -> None:
    """Pitfall 13: the first signal stops the tree in reverse order; the exit code tells it."""
    main = """
        async def main():
            specs = [ChildSpec(n, child, args=(n, 0.01)) for n in "ab"]
            async with Supervisor(specs):
                note("up")
                await asyncio.Event().wait()

        run(main)
    """
    code, lines = execute(main, ("up", number))
    assert code == 128 + number
    assert lines == ["up", "stopping b", "stopped b", "stopping a", "stopped a"]


def test_second_signal_ends_the_patience() -> None:
    """Pitfall 13: the second signal cuts the cleanup that is under way, and the rest."""
    main = """
        async def main():
            specs = [ChildSpec(n, child, args=(n, 60)) for n in "ab"]
            async with Supervisor(specs):
                note("up")
                await asyncio.Event().wait()

        run(main)
    """
    code, lines = execute(main, ("up", signal.SIGINT), ("stopping b", signal.SIGINT))
    assert code == 128 + signal.SIGINT
    assert sorted(lines) == ["cut b", "stopping a", "stopping b", "up"] or "cut a" in lines
    assert "stopped a" not in lines


def test_exit_code_of_a_leaf() -> None:
    """Pitfall 12: sys.exit in a leaf stops the tree in order and is the exit code."""
    main = """
        async def leaving():
            await asyncio.sleep(0.01)
            sys.exit(3)

        async def main():
            specs = [ChildSpec("a", child, args=("a", 0.01)), ChildSpec("b", leaving)]
            async with Supervisor(specs):
                await asyncio.Event().wait()

        run(main)
    """
    assert execute(main) == (3, ["stopping a", "stopped a"])


def test_main_that_forgets_its_tree_ends_all_the_same() -> None:
    """Pitfall 29: a tree that nobody closes does not hold up the end of the program."""
    main = """
        async def main():
            specs = [ChildSpec("a", child, args=("a", 0.01))]
            await Supervisor(specs).__aenter__()
            note("leaving")

        run(main)
    """
    code, lines = execute(main)
    assert code == 0
    assert lines[0] == "leaving"


def test_result_and_handlers() -> None:
    """`run` returns what main does, and puts the signal handlers back."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    async def main() -> int:
        assert signal.getsignal(signal.SIGTERM) is not before[1]
        return 42

    assert run(main) == 42
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_errors_of_main_pass() -> None:
    """What main raises comes out of `run` as it is, and handlers are put back."""
    before = signal.getsignal(signal.SIGTERM)

    async def main() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        run(main)

    assert signal.getsignal(signal.SIGTERM) is before


class TestDrain:
    MAIN = """
        home = None

        def drain(when_home):
            global home
            home = when_home
            note("draining")
            return {drains}

        async def main():
            note("up")
            try:
                await asyncio.sleep({seconds})
                home and note("finished")
                {after}
            except asyncio.CancelledError:
                note("cancelled")
                raise

        run(main, drain=drain)
    """

    def main(self, *, drains: bool = True, seconds: float = 60, after: str = "pass") -> str:
        """Return a program whose main sleeps, and whose drain says whether it drains."""
        return self.MAIN.format(drains=drains, seconds=seconds, after=after)

    def test_goes_on_until_it_is_home(self) -> None:
        """The first signal lets main go on; when all is home it is cancelled in good order."""
        after = "home(); await asyncio.sleep(60)"
        code, lines = execute(self.main(seconds=0.2, after=after), ("up", signal.SIGINT))
        assert (code, lines) == (130, ["up", "draining", "finished", "cancelled"])

    def test_second_signal_cancels(self) -> None:
        """Whoever does not want to wait asks again."""
        code, lines = execute(self.main(), ("up", signal.SIGINT), ("draining", signal.SIGTERM))
        assert (code, lines) == (130, ["up", "draining", "cancelled"])

    def test_main_that_returns(self) -> None:
        """The exit code tells that it was cut short, also where main returns by itself."""
        code, lines = execute(self.main(seconds=0.2, after="home()"), ("up", signal.SIGTERM))
        assert (code, lines) == (143, ["up", "draining", "finished"])

    def test_nothing_to_drain(self) -> None:
        """Then the first signal cancels, as ever."""
        code, lines = execute(self.main(drains=False), ("up", signal.SIGINT))
        assert (code, lines) == (130, ["up", "draining", "cancelled"])

    def test_undisturbed(self) -> None:
        """Without a signal nothing is asked and main's result is returned."""
        code, lines = execute(self.main(seconds=0.01))
        assert (code, lines) == (0, ["up"])
