"""Parallel: different programs, one bound, failures as values."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from dspex.errors import InputError
from dspex.programs.parallel import CallFailed, Parallel
from dspex.programs.predict import Predict
from dspex.signatures.example import Example
from dspex.testing.models import ScriptedModel


def echo(model: ScriptedModel | None = None) -> Predict:
    return Predict("question -> answer", client=model or ScriptedModel(lambda _: {"answer": "a"}))


class TestParallel:
    async def test_results_are_in_the_order_of_the_calls(self) -> None:
        """Different programs may be mixed; an Example gives its inputs alone."""
        team = Predict("ticket -> team", client=ScriptedModel([{"team": "billing"}]))
        example = Example(ticket="?", team="network").with_inputs("ticket")
        first, second = await Parallel()([(echo(), {"question": "?"}), (team, example)])
        assert (getattr(first, "answer", None), getattr(second, "team", None)) == ("a", "billing")

    async def test_a_failure_stands_at_its_place(self) -> None:
        """It is false, knows its index, and hurts nobody else."""
        good, bad = await Parallel()([(echo(), {"question": "?"}), (echo(), {"wrong": 1})])
        assert good
        assert not bad
        assert isinstance(bad, CallFailed)
        assert bad.index == 1
        assert isinstance(bad.error, InputError)

    async def test_failures_may_be_raised(self) -> None:
        """Then the others are cancelled."""
        with pytest.raises(ExceptionGroup, match="1 of the calls failed"):
            await Parallel(on_error="raise")([(echo(), {"wrong": 1})])

    async def test_too_many_failures_end_it(self) -> None:
        """Calls behind the last allowed failure are not made."""
        model = ScriptedModel(lambda _: {"answer": "a"})
        calls: list[tuple[Any, Any]] = [(echo(), {})] * 3 + [(echo(model), {"question": "?"})]
        with pytest.raises(ExceptionGroup, match="3 of the calls failed"):
            await Parallel(max_concurrency=1, max_errors=2)(calls)

        assert model.calls == 0

    async def test_the_bound_holds_over_all_programs(self) -> None:
        """The calls share it."""
        model = ScriptedModel(lambda _: {"answer": "a"}, latency_s=0.001)
        await Parallel(max_concurrency=3)([(echo(model), {"question": "?"})] * 10)
        assert model.max_in_flight == 3

    async def test_calls_may_come_from_a_stream(self) -> None:
        """An async iterable is pulled when there is room."""

        async def calls() -> AsyncIterator[tuple[Predict, dict[str, str]]]:
            for _ in range(4):
                yield echo(), {"question": "?"}

        assert len(await Parallel(max_concurrency=2)(calls())) == 4

    async def test_no_calls(self) -> None:
        """Nothing to do gives nothing."""
        assert await Parallel()([]) == []


class TestBatch:
    async def test_one_program_on_many_rows(self) -> None:
        """Examples and mappings, in order; a failure stands at its place."""
        rows: list[Any] = [
            Example(question="?", answer="a").with_inputs("question"),
            {"question": "?"},
            {},
        ]
        good, fine, bad = await echo().batch(rows)
        assert good
        assert fine
        assert isinstance(bad, CallFailed)

    async def test_rows_from_a_stream(self) -> None:
        """Pulled when there is room."""

        async def rows() -> AsyncIterator[dict[str, str]]:
            for _ in range(3):
                yield {"question": "?"}

        assert len(await echo().batch(rows(), max_concurrency=1)) == 3

    async def test_failures_may_be_raised(self) -> None:
        """As a group."""
        with pytest.raises(ExceptionGroup):
            await echo().batch([{}], on_error="raise")
