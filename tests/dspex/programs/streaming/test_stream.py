"""Streams of programs: what happens comes as it happens, the prediction last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from dspex.adapters.json_adapter import JSONAdapter
from dspex.effects import current
from dspex.errors import ErrorData, ErrorKind, InputError, ParseError, ServerError
from dspex.programs.best_of_n import BestOfN
from dspex.programs.chain_of_thought import ChainOfThought
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.programs.streaming import FieldChunk, ProgramStatus, Retracted, StreamItem
from dspex.signatures.prediction import Prediction
from dspex.testing.models import ScriptedModel


async def items_of(program: Program, **inputs: Any) -> list[StreamItem]:
    async with aclosing(program.stream(**inputs)) as items:
        return [item async for item in items]


async def noting(
    stream: AsyncGenerator[StreamItem, None], seen: list[StreamItem]
) -> AsyncGenerator[StreamItem, None]:
    async with aclosing(stream) as items:
        async for item in items:
            seen.append(item)
            yield item


def texts(items: list[StreamItem]) -> dict[tuple[str, str], str]:
    """Put the chunks together, by predictor and field."""
    found: dict[tuple[str, str], str] = {}
    for item in items:
        if isinstance(item, FieldChunk):
            key = (item.predictor, item.field)
            found[key] = found.get(key, "") + item.text

    return found


def thinking(*answers: Any, **settings: Any) -> ChainOfThought:
    return ChainOfThought("question -> answer", client=ScriptedModel(answers), **settings)


LONG = {"reasoning": "first\nsecond\nthird", "answer": "one\ntwo"}


class Pipeline(Program):
    def __init__(self) -> None:
        self.draft = ChainOfThought("question -> draft")
        self.polish = Predict("question, draft -> answer")

    async def forward(self, question: str) -> Prediction:
        draft = await self.draft(question=question)
        return await self.polish(question=question, draft=draft.draft)


class TestItems:
    async def test_fields_come_piece_by_piece_and_the_prediction_last(self) -> None:
        """The chunks of a field are its text; markers are never seen."""
        items = await items_of(thinking(LONG), question="?")
        assert texts(items) == {
            ("self", "reasoning"): "first\nsecond\nthird",
            ("self", "answer"): "one\ntwo",
        }
        assert sum(isinstance(item, FieldChunk) for item in items) > 2
        (prediction,) = (item for item in items if isinstance(item, Prediction))
        assert items[-1] is prediction
        assert prediction == Prediction(LONG)
        assert prediction.usage.calls == 1

    async def test_parts_are_named_and_announced(self) -> None:
        """Each predictor's chunks bear its path, between its start and its stop."""
        model = ScriptedModel([{"reasoning": "r", "draft": "d"}, {"answer": "a"}])
        items = await items_of(Pipeline().with_client(model), question="?")
        assert texts(items) == {
            ("draft", "reasoning"): "r",
            ("draft", "draft"): "d",
            ("polish", "answer"): "a",
        }
        assert [item for item in items if isinstance(item, ProgramStatus)] == [
            ProgramStatus("draft", "ChainOfThought", "start"),
            ProgramStatus("draft", "ChainOfThought", "stop"),
            ProgramStatus("polish", "Predict", "start"),
            ProgramStatus("polish", "Predict", "stop"),
        ]

    async def test_runs_of_one_part_are_told_apart(self) -> None:
        """Tries that run side by side have their number in the path."""
        model = ScriptedModel(lambda request: {"answer": f"try {request.sample}"})
        best = BestOfN(
            Predict("question -> answer", client=model), 2, reward=lambda i, p: len(p.answer)
        )
        found = texts(await items_of(best, question="?"))
        assert found == {
            ("try.0.program", "answer"): "try 0",
            ("try.1.program", "answer"): "try 1",
        }

    async def test_every_adapter_streams(self) -> None:
        """JSON comes without its syntax."""
        program = thinking('{"reasoning": "so",\n "answer": "it is"}', adapter=JSONAdapter())
        assert texts(await items_of(program, question="?")) == {
            ("self", "reasoning"): "so",
            ("self", "answer"): "it is",
        }

    async def test_a_repair_retracts_what_came(self) -> None:
        """A consumer learns that what it has shown is void, and why."""
        items = await items_of(thinking("[[ ## reasoning ## ]]\nhm", LONG), question="?")
        retracted = [item for item in items if isinstance(item, Retracted)]
        assert [item.predictor for item in retracted] == ["self"]
        assert "answer" in retracted[0].reason
        after = items[items.index(retracted[0]) :]
        assert texts(after)["self", "answer"] == "one\ntwo"


class TestCourse:
    async def test_a_slow_consumer_holds_the_program_back(self) -> None:
        """Nothing is read ahead of what is taken."""
        model = ScriptedModel([{"reasoning": "r", "draft": "d"}, {"answer": "a"}])
        async with aclosing(Pipeline().with_client(model).stream(question="?")) as items:
            async for _ in items:
                break

            for _ in range(50):
                await asyncio.sleep(0)

            assert model.calls <= 1

    async def test_a_program_streams_more_than_once_and_at_once(self) -> None:
        """Streams of one object do not mix."""
        model = ScriptedModel(lambda request: {"answer": request.messages[-1].text[-9:]})
        program = Predict("question -> answer", client=model)
        async with asyncio.TaskGroup() as group:
            runs = [group.create_task(items_of(program, question=f"q{n}")) for n in range(20)]

        for run in runs:
            (prediction,) = (item for item in run.result() if isinstance(item, Prediction))
            assert texts(run.result())["self", "answer"] == prediction.answer

    async def test_stopping_early_ends_the_program(self) -> None:
        """Closing the stream cancels the call, and waits for its end."""
        ended = asyncio.Event()

        class Endless(Program):
            def __init__(self) -> None:
                self.inner = thinking(LONG)

            async def forward(self, question: str) -> Prediction:
                try:
                    await self.inner(question=question)
                    await asyncio.Event().wait()
                finally:
                    ended.set()

                return Prediction(answer="never")

        async with aclosing(Endless().stream(question="?")) as items:
            async for item in items:
                if isinstance(item, FieldChunk):
                    break

        assert ended.is_set()

    async def test_the_scope_of_the_consumer_stays_its_own(self) -> None:
        """Between two items the consumer is not inside the program."""
        async with aclosing(thinking(LONG).stream(question="?")) as items:
            async for _ in items:
                assert current().listener is None
                assert current().path == ()


class TestFailures:
    async def test_an_error_comes_after_the_items_before_it(self) -> None:
        """What was told stays told; then the call's own error is raised."""
        down = ServerError(ErrorData(ErrorKind.SERVER, "down", status=503))
        model = ScriptedModel([{"reasoning": "r", "draft": "d"}, down])
        seen: list[StreamItem] = []
        stream = Pipeline().with_client(model).stream(question="?")
        with pytest.raises(ServerError):
            seen.extend([item async for item in noting(stream, seen)])

        assert ProgramStatus("polish", "Predict", "error") in seen
        assert texts(seen)["draft", "draft"] == "d"

    async def test_an_unreadable_answer(self) -> None:
        """As without a stream."""
        with pytest.raises(ParseError):
            await items_of(thinking("hm", "hm"), question="?")

    async def test_a_wrong_input(self) -> None:
        """Before any model is asked."""
        with pytest.raises(InputError):
            await items_of(thinking(), quesiton="?")

    async def test_an_exit_is_raised_where_the_stream_is_read(self) -> None:
        """In a task of its own it would end the event loop."""

        class Quits(Program):
            async def forward(self, question: str) -> Prediction:
                raise SystemExit(3)

        with pytest.raises(SystemExit):
            await items_of(Quits(), question="?")
