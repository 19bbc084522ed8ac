"""Code that nobody has read: what it may do, what it may not, and what is left afterwards."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from dspex import recipe
from dspex.effects import Effect, LiveGate, current, scope
from dspex.errors import InterpreterError
from dspex.programs.code import CodeOutcome, HostFunction, MontyInterpreter, SubmitError, run_code
from dspex.programs.code.monty_session import MontySession


@pytest.fixture
async def session() -> AsyncIterator[MontySession]:
    async def double(number: int, times: int = 1) -> int:
        await asyncio.sleep(0)
        return number << times

    async def broken() -> None:
        raise LookupError("gone")

    async def give(value: Any) -> Any:
        return value

    functions: dict[str, HostFunction] = {"double": double, "broken": broken, "give": give}
    limited = MontyInterpreter(timeout_s=0.3, max_memory_mb=50, max_output_chars=2_000)
    async with limited.session(functions) as opened:
        yield opened


class TestRunning:
    async def test_output_value_and_variables(self, session: MontySession) -> None:
        """Variables stay from one piece of code to the next."""
        assert await session.run("x = 2\nprint('hi', x)\nx + 1") == CodeOutcome("hi 2\n", 3)
        assert await session.run("y = x + n", {"n": 3}) == CodeOutcome()
        assert (await session.run("{'y': y, 1: (2, {3})}")).value == {"y": 5, "1": [2, [3]]}

    @pytest.mark.parametrize(
        ("code", "value"),
        [
            ("double(2)", 4),
            ("double(2, times=2)", 8),
            ("await double(2)", 4),
            ("[double(n) for n in range(3)]", [0, 2, 4]),
            ("def f():\n    return double(5)\nf()", 10),
            ("async def f():\n    return await double(5)\nawait f()", 10),
            ("import asyncio\nawait asyncio.gather(double(1), double(2))", [2, 4]),
            ("# gather both\nx = double(2)\nx", 4),
            ("give({'a': [1, None, 'ü']})", {"a": [1, None, "ü"]}),
            ("try:\n    broken()\nexcept Exception as e:\n    x = str(e)\nx", "broken: gone"),
        ],
    )
    async def test_host_functions(self, session: MontySession, code: str, value: Any) -> None:
        """They are called plainly or awaited, and what they raise can be caught."""
        assert await session.run(code) == CodeOutcome(value=value)

    async def test_gathered_calls_run_at_the_same_time(self) -> None:
        """Each waits for the others."""
        barrier = asyncio.Barrier(3)

        async def meet(number: int) -> int:
            await barrier.wait()
            return number

        async with MontyInterpreter().session({"meet": meet}) as session:
            code = "import asyncio\nawait asyncio.gather(meet(1), meet(2), meet(3))"
            assert (await session.run(code)).value == [1, 2, 3]

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("1 / 0", "ZeroDivisionError"),
            ("def f(:", "SyntaxError"),
            ("def f():\n    yield 1", "does not yet support yield"),
            ("missing", "NameError"),
            ("import numpy", "ModuleNotFoundError"),
            ("raise ValueError('mine')", "ValueError: mine"),
            ("raise TimeoutError('mine')", "TimeoutError: mine"),
            ("raise SystemExit('mine')", "SystemExit"),
            ("broken()", "broken: gone"),
            ("double('a', 'b', 'c')", "double: "),
        ],
    )
    async def test_what_code_does_wrong_is_told(
        self, session: MontySession, code: str, words: str
    ) -> None:
        """The session goes on, with its variables."""
        await session.run("kept = 1")
        outcome = await session.run(code)
        assert words in str(outcome.error)
        assert words in outcome.shown()
        assert not outcome.lost
        assert (await session.run("kept")).value == 1

    async def test_submit_ends_the_code(self) -> None:
        """What comes after the call is not run, not even a handler."""
        calls: list[str] = []

        async def submit() -> None:
            raise SubmitError

        async def note(text: str) -> None:
            calls.append(text)

        code = "try:\n    submit()\nexcept BaseException:\n    note('caught')\nnote('after')"
        async with MontyInterpreter().session({"submit": submit, "note": note}) as session:
            outcome = await session.run(code)
            assert outcome.error is None
            assert calls == []


class TestHostility:
    @pytest.mark.parametrize("made", ["[x]", "(x,)", "{'a': x}"])
    @pytest.mark.parametrize("depth", [300, 2_000])
    async def test_a_value_that_is_nested_too_deeply(
        self, session: MontySession, made: str, depth: int
    ) -> None:
        """The outcome can be stored, and the session goes on."""
        outcome = await session.run(f"x = 1\nfor i in range({depth}):\n    x = {made}\nx")
        assert CodeOutcome.from_json(orjson.loads(orjson.dumps(outcome.to_json()))) == outcome
        assert (await session.run("1 + 1")).value == 2

    @pytest.mark.parametrize(
        "code",
        [
            "import os\nos.fork()",
            "import os\nos.system('id')",
            "import os\nos.listdir('/')",
            "import os\nos.environ['HOME']",
            "import subprocess\nsubprocess.run(['id'])",
            "import socket\nsocket.create_connection(('127.0.0.1', 80))",
            "import urllib.request",
            "import ctypes",
            "open('/etc/passwd').read()",
            "open('/var/x', 'w').write('x')",
            "import pathlib\npathlib.Path('/etc/passwd').read_text()",
            "().__class__.__bases__[0].__subclasses__()",
            "(lambda: 0).__globals__",
            "double.__globals__",
            "__import__('os').system('id')",
            "eval('__import__(\"os\").getcwd()')",
            "import sys\nsys.modules['os']",
            "globals()['__builtins__']['__import__']('os').system('id')",
            "'{0.__class__.__init__.__globals__}'.format(double)",
        ],
    )
    async def test_nothing_outside_is_reached(self, session: MontySession, code: str) -> None:
        """No processes, no network, no files, no way into the host's objects."""
        outcome = await session.run(code)
        assert outcome.error is not None
        assert "root:" not in outcome.shown()
        assert (await session.run("1 + 1")).value == 2

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("while True: pass", "time limit"),
            ("x = 10 ** 8\nwhile x: x -= 1", "time limit"),
            ("'a' * 10 ** 9", "memory limit"),
            ("x = []\nwhile True: x.append('a' * 10_000)", "limit"),
            ("x = [0]\nx *= 10 ** 10", "limit"),
        ],
    )
    async def test_limits_end_the_code_and_start_anew(
        self, session: MontySession, code: str, words: str
    ) -> None:
        """The model is told that its variables are gone, and goes on."""
        await session.run("kept = 1")
        outcome = await session.run(code)
        assert words in str(outcome.error)
        assert outcome.lost
        assert "all variables are gone" in outcome.shown()
        assert "NameError" in str((await session.run("kept")).error)

    async def test_recursion_is_bounded(self, session: MontySession) -> None:
        """And told in few words."""
        outcome = await session.run("def f():\n    return f()\nf()")
        assert "RecursionError" in str(outcome.error)
        assert (await session.run("1 + 1")).value == 2

    @pytest.mark.parametrize("code", ["print('y' * 5_000)", "for _ in range(10 ** 5): print('y')"])
    async def test_output_is_bounded(self, session: MontySession, code: str) -> None:
        """What is printed beyond the bound never reaches us."""
        outcome = await session.run(code)
        assert len(outcome.output) < 2_100
        assert (await session.run("1 + 1")).value == 2

    async def test_calls_are_bounded(self) -> None:
        """Code cannot call for ever."""

        async def ping() -> None:
            await asyncio.sleep(0)

        async with MontyInterpreter(max_calls=20).session({"ping": ping}) as session:
            outcome = await session.run("while True: ping()")
            assert outcome.error is not None

    async def test_a_slow_host_function_is_not_the_codes_time(self, session: MontySession) -> None:
        """Waiting for us does not count."""

        async def slow() -> str:
            await asyncio.sleep(0.3)
            return "done"

        async with MontyInterpreter(timeout_s=0.1).session({"slow": slow}) as limited:
            assert (await limited.run("slow()")).value == "done"


class TestCancelling:
    async def test_a_loop_is_left_behind(self) -> None:
        """The caller goes at once, and the pool serves others."""
        async with MontyInterpreter(timeout_s=5, max_processes=1) as interpreter:
            async with interpreter.session() as session:
                task = asyncio.create_task(session.run("while True: pass"))
                await asyncio.sleep(0.05)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

                assert (await session.run("1 + 1")).value == 2

            async with interpreter.session() as session:
                assert (await session.run("2 + 2")).value == 4

    async def test_a_waiting_host_function_is_cancelled(self) -> None:
        """It ends with the code that called it."""
        ended = asyncio.Event()

        async def wait() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()

        async with MontyInterpreter().session({"wait": wait}) as session:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await session.run("wait()")

            assert ended.is_set()
            assert (await session.run("1 + 1")).value == 2


class TestTheInterpreter:
    async def test_sessions_are_apart(self) -> None:
        """One pool serves many, and no variable crosses."""
        async with MontyInterpreter(max_processes=2) as interpreter:

            async def one(number: int) -> Any:
                async with interpreter.session() as session:
                    await session.run("x = n", {"n": number})
                    await asyncio.sleep(0)
                    return (await session.run("x")).value

            assert await asyncio.gather(*map(one, range(20))) == list(range(20))

    def test_is_a_value(self) -> None:
        """Equal by its numbers, and built again from its recipe."""
        interpreter = MontyInterpreter(timeout_s=3)
        assert interpreter == MontyInterpreter(timeout_s=3)
        assert interpreter != MontyInterpreter()
        assert recipe.build(recipe.recipe_of(interpreter)) == interpreter
        with pytest.raises(ValueError, match="timeout_s must be more than 0"):
            MontyInterpreter(timeout_s=0)

    async def test_without_a_sandbox_nothing_is_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error says what to install."""
        monkeypatch.setitem(sys.modules, "pydantic_monty", None)
        with pytest.raises(InterpreterError, match=r"dspex\[sandbox\]"):
            async with MontyInterpreter().session():
                pytest.fail("a session was opened")


class Journal(LiveGate):
    """A gate that keeps what came through, and answers from it."""

    __slots__ = ("records",)
    records: dict[tuple[str, ...], Any]

    def __init__(self, records: dict[tuple[str, ...], Any]) -> None:
        super().__init__()
        object.__setattr__(self, "records", records)

    async def call(self, effect: Effect[Any]) -> Any:
        key = (*current().path, effect.kind)
        if key not in self.records:
            self.records[key] = effect.encode(await effect.run())

        return effect.decode(self.records[key])


async def test_code_runs_pass_the_gate() -> None:
    """On replay the outcome is the journal's, and the variables are there for what comes after."""
    records: dict[tuple[str, ...], Any] = {}
    with scope(path=("run",), gate=Journal(records)):
        async with MontyInterpreter().session() as session:
            first = await run_code(session, "x = 1\nprint('one')")

    records[("run", "code", "code")]["output"] = "from the journal"
    with scope(path=("run",), gate=Journal(records)):
        async with MontyInterpreter().session() as session:
            again = await run_code(session, "x = 1\nprint('one')")
            assert (await run_code(session, "x + 1")).value == 2

    assert (first.output, again.output) == ("one\n", "from the journal")
