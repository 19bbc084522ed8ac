"""The live gate carries out what passes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from dspex import effects
from dspex.effects import Effect

T = TypeVar("T")


def effect(run: Callable[[], Awaitable[T]]) -> Effect[T]:
    return Effect("test", run=run, digest=str, encode=str, decode=lambda data: data)


class TestLiveGate:
    async def test_the_live_gate_runs_the_effect(self) -> None:
        """By default an effect is simply carried out."""

        async def answer() -> int:
            return 42

        assert await effects.current().gate.call(effect(answer)) == 42
