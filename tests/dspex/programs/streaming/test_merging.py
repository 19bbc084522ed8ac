"""merge_streams: several programs at once, one prediction."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from dspex.errors import ErrorData, ErrorKind, ServerError
from dspex.messages import Request
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.programs.streaming import FieldChunk
from dspex.programs.streaming.merging import Merged, merge_streams
from dspex.programs.voting import majority
from dspex.signatures.prediction import Prediction
from dspex.testing.models import ScriptedModel


def saying(answer: Any) -> Predict:
    return Predict("question -> answer", client=ScriptedModel([answer]))


def silent() -> Predict:
    async def never(request: Request) -> Any:
        await asyncio.Event().wait()

    return Predict("question -> answer", client=ScriptedModel(never))


async def merged(*programs: Program, **settings: Any) -> list[Merged | Prediction]:
    async with aclosing(merge_streams(programs, question="?", **settings)) as items:
        return [item async for item in items]


class TestMergeStreams:
    async def test_the_first_that_is_done_answers(self) -> None:
        """The others are cancelled."""
        items = await merged(silent(), saying({"answer": "a"}))
        assert isinstance(items[-1], Prediction)
        assert items[-1].answer == "a"
        chunks = [i for i in items if isinstance(i, Merged) and isinstance(i.item, FieldChunk)]
        assert {chunk.source for chunk in chunks} == {1}

    async def test_a_function_chooses_of_all(self) -> None:
        """Usage counts every program."""
        programs = [saying({"answer": answer}) for answer in ("a", "b", "b")]
        items = await merged(*programs, select=majority)
        assert isinstance(items[-1], Prediction)
        assert items[-1].answer == "b"
        assert items[-1].usage.calls == 3
        sources = {item.source for item in items if isinstance(item, Merged)}
        assert sources == {0, 1, 2}

    async def test_a_failed_program_leaves_the_others(self) -> None:
        """A prediction of one is enough."""
        down = ServerError(ErrorData(ErrorKind.SERVER, "down", status=503))
        items = await merged(saying(down), saying({"answer": "a"}), select=majority)
        assert isinstance(items[-1], Prediction)
        assert items[-1].answer == "a"

    async def test_all_failed(self) -> None:
        """Every error is in the group, in the order of the programs."""
        down = ServerError(ErrorData(ErrorKind.SERVER, "down", status=503))
        with pytest.raises(ExceptionGroup, match="all 2 programs failed") as caught:
            await merged(saying(down), saying(down))

        assert caught.group_contains(ServerError)

    async def test_stopping_early_ends_all(self) -> None:
        """Nothing runs on after the consumer has gone."""
        programs = [saying({"answer": "a"}), silent()]
        async with aclosing(merge_streams(programs, question="?")) as items:
            async for _ in items:
                break

        assert len(asyncio.all_tasks()) == 1

    async def test_no_programs(self) -> None:
        """Nothing to merge."""
        with pytest.raises(ValueError, match="no programs"):
            await merged()
