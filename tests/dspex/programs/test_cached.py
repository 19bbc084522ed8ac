"""Cached: results by program and inputs, in memory and on disk; never in the way."""

from __future__ import annotations

import datetime
import enum
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dspex.config import CacheSettings
from dspex.effects import LiveGate, scope
from dspex.errors import InputError, ParseError
from dspex.programs.cached import Cached
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.runtime import Runtime
from dspex.signatures.fields import InputField, OutputField
from dspex.signatures.prediction import Prediction
from dspex.signatures.signature import Signature
from dspex.testing.models import ScriptedModel
from dspex.types import Image


class Team(enum.Enum):
    NETWORK = "network"


class Plan(Signature):
    """Plan the visit."""

    ticket: str = InputField()
    team: Team = OutputField()
    day: datetime.date = OutputField()


def planning(*days: str) -> tuple[Predict, ScriptedModel]:
    model = ScriptedModel([{"team": "network", "day": day} for day in days])
    return Predict(Plan, client=model), model


@pytest.fixture
async def runtime() -> AsyncIterator[Runtime]:
    async with Runtime(log="off") as runtime:
        yield runtime


class TestCached:
    async def test_the_second_call_asks_nobody(self, runtime: Runtime) -> None:
        """The result has its types, and its usage is a hit."""
        program, model = planning("2026-11-21")
        cached = Cached(program)
        first = await cached(ticket="dead router")
        second = await cached(ticket="dead router")
        assert second == first == Prediction(team=Team.NETWORK, day=datetime.date(2026, 11, 21))
        assert (model.calls, second.usage.calls, second.usage.cache_hits) == (1, 0, 1)

    async def test_other_inputs_samples_and_programs_are_other_results(
        self, runtime: Runtime
    ) -> None:
        """Whatever the prediction depends on is in the key."""
        program, model = planning(*[f"2026-11-{day:02}" for day in range(1, 5)])
        cached = Cached(program)
        await cached(ticket="a")
        await cached(ticket="b")
        with scope(sample=1):
            await cached(ticket="a")

        await Cached(program.with_instructions("Plan well."))(ticket="a")
        assert model.calls == 4

    async def test_other_processes_find_it_on_disk(self, tmp_path: Path) -> None:
        """Where the cache has a path."""
        where = CacheSettings(path=tmp_path / "cache.db")
        program, model = planning("2026-11-21")
        for _ in range(2):
            async with Runtime(log="off", cache=where):
                assert (await Cached(program)(ticket="a")).team is Team.NETWORK

        assert model.calls == 1

    async def test_a_composed_program_gives_plain_json(self, runtime: Runtime) -> None:
        """Nobody says what its types are."""
        model = ScriptedModel([{"answer": "a"}])

        class Wrapper(Program):
            def __init__(self) -> None:
                self.inner = Predict("question -> answer", client=model)

            async def forward(self, question: str) -> Prediction:
                return await self.inner(question=question)

        cached = Cached(Wrapper())
        assert [(await cached(question="?")).answer for _ in range(2)] == ["a", "a"]
        assert model.calls == 1

    async def test_old_results_are_not_used(
        self, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By the wall clock, since another process may have kept them."""
        program, model = planning("2026-11-01", "2026-11-02")
        cached = Cached(program, ttl_s=60.0)
        await cached(ticket="a")
        assert (await cached(ticket="a")).day.day == 1
        monkeypatch.setattr("dspex.programs.cached.now_s", lambda: time.time() + 61.0)
        assert (await cached(ticket="a")).day.day == 2
        assert model.calls == 2


class TestModes:
    async def test_refresh_asks_again_and_keeps_that(self, runtime: Runtime) -> None:
        """The next plain call sees the new result."""
        program, _ = planning("2026-11-01", "2026-11-02")
        await Cached(program)(ticket="a")
        assert (await Cached(program, mode="refresh")(ticket="a")).day.day == 2
        assert (await Cached(program)(ticket="a")).day.day == 2

    async def test_read_keeps_nothing_new(self, runtime: Runtime) -> None:
        """It only uses what is there."""
        program, model = planning("2026-11-01", "2026-11-02")
        for _ in range(2):
            await Cached(program, mode="read")(ticket="a")

        assert model.calls == 2

    async def test_off_is_a_plain_call(self, runtime: Runtime) -> None:
        """Neither looked up nor kept."""
        program, model = planning("2026-11-01", "2026-11-02")
        for _ in range(2):
            await Cached(program, mode="off")(ticket="a")

        assert model.calls == 2


class TestWithout:
    async def test_failures_are_not_kept(self, runtime: Runtime) -> None:
        """The next call tries again."""
        model = ScriptedModel(["bad", {"answer": "a"}])
        cached = Cached(Predict("question -> answer", client=model, max_repairs=0))
        with pytest.raises(ParseError):
            await cached(question="?")

        assert (await cached(question="?")).answer == "a"

    async def test_no_runtime(self) -> None:
        """There is nothing to keep it in: it is simply called."""
        program, model = planning("2026-11-01", "2026-11-02")
        for _ in range(2):
            await Cached(program)(ticket="a")

        assert model.calls == 2

    async def test_no_cache(self) -> None:
        """A runtime without one is as good as none."""
        program, model = planning("2026-11-01", "2026-11-02")
        async with Runtime(log="off", cache=None):
            for _ in range(2):
                await Cached(program)(ticket="a")

        assert model.calls == 2

    async def test_in_a_job_the_journal_answers(self, runtime: Runtime) -> None:
        """Under another gate than the live one nothing comes from the cache."""
        program, model = planning("2026-11-01", "2026-11-02")
        await Cached(program)(ticket="a")
        with scope(gate=LiveGate()):
            await Cached(program)(ticket="a")

        assert model.calls == 2

    @pytest.mark.parametrize("settings", [{"ttl_s": 0.0}, {"mode": "sometimes"}], ids=str)
    def test_impossible_settings(self, settings: dict[str, Any]) -> None:
        """Refused with the value."""
        with pytest.raises(ValueError, match="got"):
            Cached(Predict("question -> answer"), **settings)


async def test_another_model_has_results_of_its_own(runtime: Runtime) -> None:
    """A program is often compared under several models."""
    program = Predict("question -> answer")
    small = ScriptedModel([{"answer": "small"}], name="a/small")
    large = ScriptedModel([{"answer": "large"}], name="a/large")
    found = [await Cached(program.with_client(who))(question="?") for who in (small, large)]
    assert [prediction.answer for prediction in found] == ["small", "large"]


async def test_inputs_that_nothing_is_known_by_are_asked_again(
    runtime: Runtime, tmp_path: Path
) -> None:
    """The program says what is wrong with them."""
    cached = Cached(Predict("photo: Image -> answer", client=ScriptedModel([])))
    with pytest.raises(InputError, match=r"'photo' cannot be read.*none\.png"):
        await cached(photo=Image(tmp_path / "none.png"))
