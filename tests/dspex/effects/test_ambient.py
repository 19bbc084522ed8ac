"""Clock, randomness and sleep come through the gate."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import pytest

from dspex import effects
from dspex.effects import LiveGate

T = TypeVar("T")


class FixedGate(LiveGate):
    """A clock that stands still and entropy that repeats."""

    def __init__(self) -> None:
        super().__init__(wall_clock=lambda: 1234.5, urandom=lambda size: b"\x07" * size)


class TestAmbient:
    async def test_everything_not_deterministic_comes_from_the_gate(self) -> None:
        """Clock, randomness and identifiers can be recorded and replayed."""
        with effects.scope(gate=FixedGate()):
            first = (effects.now_s(), effects.random().random(), effects.uuid4())
            again = (effects.now_s(), effects.random().random(), effects.uuid4())

        assert first == again
        assert first[0] == 1234.5

    def test_a_seed_needs_no_gate(self) -> None:
        """A seeded generator is the same everywhere."""
        assert effects.random(5).random() == effects.random(5).random()

    @pytest.mark.virtual_time
    async def test_sleep_passes_the_gate_and_then_the_loop(self) -> None:
        """The live gate sleeps on the event loop's clock."""
        began = asyncio.get_running_loop().time()

        await effects.sleep(1800.0)

        assert asyncio.get_running_loop().time() - began == pytest.approx(1800.0)
