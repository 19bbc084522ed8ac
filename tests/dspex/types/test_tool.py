"""Tools: made from functions, called within their time, through the gate, saved by name."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import pytest

from dspex import recipe
from dspex.effects import Effect, LiveGate, current, scope
from dspex.errors import ErrorData, ErrorKind, ServerError, ToolError
from dspex.messages import Compat, ImagePart, Sampling, ToolCall
from dspex.programs.tools import Toolbox
from dspex.signatures.signature import Signature
from dspex.telemetry.events import TOOL_EXCEPTION, TOOL_START, TOOL_STOP
from dspex.types.tool import Tool
from dspex.types.tool_calls import ToolResult
from dspex.types.tool_running import MAX_THREADS
from dspex.types.tool_sets import make_tools


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


async def later(text: str) -> dict[str, str]:
    """Give it back."""
    await asyncio.sleep(0)
    return {"text": text}


def broken(why: str) -> str:
    """Raise."""
    raise LookupError(why)


def numbers() -> Iterator[int]:
    yield 1


class TestMaking:
    def test_name_description_and_schema_come_from_the_function(self) -> None:
        """A function is all that it takes."""
        tool = Tool(add)
        assert (tool.name, tool.description) == ("add", "Add two numbers.")
        spec = tool.spec()
        assert spec.parameters["required"] == ["a"]
        assert "Add two numbers." in str(tool.render())
        assert Tool.travels_natively(Compat(), Sampling())
        assert tool.tool_specs() == (spec,)

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda: Tool(lambda: 1), "'<lambda>' is no name"),
            (lambda: Tool(numbers), "yields"),
            (lambda: Tool(partial(numbers)), "yields"),
            (lambda: Tool(3), "3 is no function"),  # type: ignore[arg-type]  # what is refused
            (lambda: Tool(add, name="no spaces"), "'no spaces' is no name"),
            (lambda: Tool(add, name="a" * 65), "at most 64"),
            (lambda: Tool(add, timeout_s=0), "timeout_s must be more than 0"),
            (lambda: Tool(add, on_error="shrug"), "'observe' or 'raise'"),  # type: ignore[arg-type]  # what is refused
            (lambda: make_tools([add, Tool(later, name="add")]), "two tools have this name"),
        ],
    )
    def test_what_cannot_be_a_tool_is_refused(self, make: Callable[[], object], words: str) -> None:
        """The error says what is wrong."""
        with pytest.raises(ToolError) as caught:
            make()

        assert words in str(caught.value)

    def test_values(self) -> None:
        """Tools are equal by name, schema and function, and never change."""
        assert Tool(add) == Tool(add)
        assert hash(Tool(add)) == hash(Tool(add))
        assert Tool(add) != Tool(add, name="plus")
        assert Tool(add) != Tool(later)
        assert pickle.loads(pickle.dumps(Tool(add, timeout_s=3))).timeout_s == 3
        with pytest.raises(AttributeError):
            Tool(add).name = "x"  # type: ignore[misc]  # what is refused

    def test_in_signatures(self) -> None:
        """`list[Tool]` is an input, and takes functions."""
        signature = Signature("question, tools: list[Tool] -> calls: ToolCalls")
        bound = signature.bind({"question": "?", "tools": [add, Tool(later)]})
        assert bound["tools"] == [Tool(add), Tool(later)]

    async def test_a_description_is_a_tool_that_cannot_be_called(self) -> None:
        """What was saved of a tool as data shows the same and fails when called."""
        read = Tool.from_json(Tool(add).to_json())
        assert read.to_json() == Tool(add).to_json()
        result = await read.result_of({"a": 1})
        assert result.error == "crash"
        assert "only its description" in result.text


class TestSaving:
    def test_by_import_path(self) -> None:
        """An equal tool is built from the recipe, in any process."""
        tool = Tool(add, name="plus", timeout_s=2.0, idempotent=True)
        again = recipe.build(recipe.Recipe.from_dict(recipe.recipe_of(tool).to_dict()))
        assert again == tool
        assert (again.timeout_s, again.idempotent) == (2.0, True)

    def test_what_has_no_import_path_is_refused_by_name(self) -> None:
        """Lambdas, local functions and bound methods are named."""

        def local(a: int) -> int:
            return a

        for function, name in ((lambda: 1, "lambda"), (local, "local"), ("".join, "join")):
            tool = Tool(function, name="mine", parameters={"type": "object"})
            with pytest.raises(TypeError, match=rf"the tool 'mine'.*{name}|{name}"):
                recipe.recipe_of(tool)


class TestCalling:
    async def test_sync_and_async(self) -> None:
        """Arguments are converted, results are JSON data."""
        assert await Tool(add)(a="2", b=3) == 5
        assert await Tool(later)(text="x") == {"text": "x"}

    async def test_a_sync_function_does_not_block_the_loop(self) -> None:
        """It runs in a thread of its own, in the caller's context."""
        here = threading.get_ident()
        seen: list[tuple[int, Any]] = []

        def where() -> None:
            seen.append((threading.get_ident(), current().user))

        with scope(user="me"):
            await Tool(where)()

        assert seen[0][0] != here
        assert seen[0][1] == "me"

    @pytest.mark.parametrize(
        ("tool", "arguments", "error", "words"),
        [
            (Tool(add), {"a": "x"}, "arguments", "`a` does not fit"),
            (Tool(add), {}, "arguments", "`a` is missing"),
            (Tool(broken), {"why": "gone"}, "crash", "LookupError: gone"),
            (Tool(later, parameters={"required": ["text"]}), {}, "arguments", "['text']"),
        ],
    )
    async def test_failures_are_results(
        self, tool: Tool, arguments: dict[str, Any], error: str, words: str
    ) -> None:
        """A call in the program's name says how it failed; a plain call raises it."""
        result = await tool.result_of(arguments)
        assert result.error == error
        assert words in result.text
        with pytest.raises(ToolError) as caught:
            await tool(**arguments)

        assert (caught.value.tool, caught.value.reason) == (tool.name, error)

    @pytest.mark.parametrize(
        "raised", [SystemExit(1), KeyboardInterrupt(), StopIteration(), GeneratorExit()]
    )
    async def test_a_tool_cannot_end_the_program(self, raised: BaseException) -> None:
        """What would end a loop or a generator is a crash like any other."""

        def leave() -> None:
            raise raised

        assert (await Tool(leave).result_of({})).error == "crash"

    async def test_an_async_tool_cannot_either(self) -> None:
        """Nor can one that waits for something that was cancelled; its neighbours go on."""

        async def leave() -> None:
            raise SystemExit(1)

        async def forsaken() -> None:
            other = asyncio.get_running_loop().create_future()
            other.cancel()
            await other

        calls = [ToolCall(name, name, "{}") for name in ("leave", "forsaken", "add")]
        results = await Toolbox.of([leave, forsaken, add]).run(calls)
        assert [result.error for result in results[:2]] == ["crash", "crash"]
        assert "CancelledError" in results[1].text
        assert results[2].error == "arguments"

    async def test_an_error_that_cannot_say_what_it_is(self) -> None:
        """It is named by its class."""

        class MuteError(Exception):
            def __str__(self) -> str:
                raise LookupError

        def fail() -> None:
            raise MuteError

        result = await Tool(fail).result_of({})
        assert (result.error, "MuteError" in result.text) == ("crash", True)

    async def test_an_outage_below_a_tool_is_told(self) -> None:
        """An error of a provider keeps its name."""

        async def ask() -> None:
            raise ServerError(ErrorData(ErrorKind.SERVER, "overloaded"))

        result = await Tool(ask).result_of({})
        assert result.error == "refused"
        assert "overloaded" in result.text

    async def test_too_slow(self) -> None:
        """An async tool is cancelled at its time, and a sync one left behind."""
        ended: list[str] = []
        let_go = threading.Event()

        async def slow() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.append("async")

        def stuck() -> None:
            let_go.wait(10)

        try:
            for function in (slow, stuck):
                began = time.monotonic()
                result = await Tool(function, timeout_s=0.02).result_of({})
                assert (result.error, "0.02 s" in result.text) == ("timeout", True)
                assert time.monotonic() - began < 5
        finally:
            let_go.set()

        assert ended == ["async"]

    async def test_a_timeout_of_the_tools_own_is_a_crash(self) -> None:
        """Only the tool's limit counts as its limit."""

        async def impatient() -> None:
            raise TimeoutError("mine")

        assert (await Tool(impatient).result_of({})).error == "crash"

    async def test_threads_are_bounded_and_given_back(self) -> None:
        """Calls beyond the bound wait; one that gave up frees its place when its thread ends."""
        running, most, lock = 0, 0, threading.Lock()

        def work() -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)

            threading.Event().wait(0.01)
            with lock:
                running -= 1

        tool = Tool(work, timeout_s=30)
        results = await asyncio.gather(*(tool.result_of({}) for _ in range(3 * MAX_THREADS)))
        assert [result.error for result in results] == [None] * len(results)
        assert 1 < most <= MAX_THREADS

    async def test_a_cancelled_call_is_cancelled(self) -> None:
        """A cancellation belongs to the caller and is no result."""
        task = asyncio.create_task(Tool(asyncio.sleep, parameters={})(delay=60))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    @pytest.mark.parametrize(
        ("given", "value"),
        [
            (None, None),
            ({1, 2}, [1, 2]),
            (b"abc", "YWJj"),
            (float("nan"), "NaN"),
            (object, "<class 'object'>"),
            (("a", 1), ["a", 1]),
        ],
    )
    async def test_any_result_is_json(self, given: object, value: object) -> None:
        """What has no JSON form is shown as Python shows it."""

        async def give() -> object:
            return given

        result = await Tool(give).result_of({})
        assert result.value == value
        assert isinstance(result.text, str)

    async def test_images(self) -> None:
        """A tool may give an image, alone or with a text."""
        image = ImagePart("data:image/png;base64,AA==")

        async def shot() -> ImagePart:
            return image

        async def both() -> ToolResult:
            return ToolResult("x", "seen", images=(image,))

        assert (await Tool(shot).result_of({})).images == (image,)
        result = await Tool(both).result_of({})
        assert (result.name, result.value, result.images) == ("both", "seen", (image,))

    async def test_written_arguments(self) -> None:
        """A model's call is read; text that is no JSON object is its mistake."""
        tool = Tool(add)
        assert (await tool.answer(ToolCall("1", "add", '{"a": 1}'))).value == 2
        for text in ("[1]", "{a: 1", "3"):
            assert (await tool.answer(ToolCall("1", "add", text))).error == "arguments"


class Flaky:
    """Fails a number of times."""

    def __init__(self, times: int) -> None:
        self.calls = 0
        self.times = times

    async def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise OSError("reset")

        return "done"


class Persistent:
    """A policy that tries three times."""

    async def run(self, fn: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        for _ in range(2):
            try:
                return await fn(*args, **kwargs)
            except OSError:
                continue

        return await fn(*args, **kwargs)


class TestPolicies:
    async def test_an_idempotent_tool_is_tried_again(self) -> None:
        """The policy's retries reach it."""
        flaky = Flaky(2)
        tool = Tool(flaky, name="flaky", idempotent=True, policy=Persistent())
        assert await tool() == "done"
        assert flaky.calls == 3

    async def test_any_other_is_called_once(self) -> None:
        """What a first try may have done is not done twice."""
        flaky = Flaky(2)
        result = await Tool(flaky, name="flaky", policy=Persistent()).result_of({})
        assert (result.error, flaky.calls) == ("crash", 1)

    async def test_the_clients_policy_fits(self) -> None:
        """`dspex.Policy` protects a tool."""
        from dspex.clients.policy import Policy

        async with Policy("tools", max_concurrency=1, timeout_s=5) as policy:
            assert await Tool(add, policy=policy)(a=1) == 2

        result = await Tool(add, policy=policy).result_of({"a": 1})
        assert result.error == "refused"


class Journal(LiveGate):
    """A gate that keeps what came through, and answers from it."""

    def __init__(self, records: dict[tuple[str, ...], Any]) -> None:
        super().__init__()
        object.__setattr__(self, "records", records)

    records: dict[tuple[str, ...], Any]
    __slots__ = ("records",)

    async def call(self, effect: Effect[Any]) -> Any:
        key = (*current().path, effect.kind)
        if key not in self.records:
            self.records[key] = (effect.digest(), effect.encode(await effect.run()))

        digest, data = self.records[key]
        assert digest == effect.digest()
        return effect.decode(data)


class TestTheGate:
    async def test_a_journal_answers_for_a_tool(self) -> None:
        """On replay the function is not called, and the result is equal."""
        flaky = Flaky(0)
        tool = Tool(flaky, name="flaky")
        records: dict[tuple[str, ...], Any] = {}
        results = []
        for _ in range(2):
            with scope(path=("run",), gate=Journal(records)), scope("here"):
                results.append(await tool.result_of({}, call_id="c"))

        assert results[0] == results[1]
        assert flaky.calls == 1
        assert list(records) == [("run", "here", "flaky", "tool")]


class TestEvents:
    async def test_start_and_end_are_announced(self) -> None:
        """The bus hears of each call, with its reason where it fails."""
        from supervision.telemetry import Bus

        bus = Bus()
        seen: list[tuple[tuple[str, ...], Any]] = []
        for name in (TOOL_START, TOOL_STOP, TOOL_EXCEPTION):
            bus.attach(
                str(name),
                name,
                lambda event, measured, about, _: seen.append((event, about.get("reason"))),
            )

        class Handle:
            name = "test"

        handle = Handle()
        handle.bus = bus  # type: ignore[attr-defined]  # as much of a runtime as is asked
        with scope(runtime=handle):
            await Tool(add).result_of({"a": 1})
            await Tool(broken).result_of({"why": "x"})

        assert seen == [
            (TOOL_START, None),
            (TOOL_STOP, None),
            (TOOL_START, None),
            (TOOL_EXCEPTION, "crash"),
        ]
