"""The one door for what is not deterministic, and the live one that lets everything through."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ("LIVE", "Effect", "Gate", "LiveGate")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Effect(Generic[T]):
    """One thing that is about to enter the program from outside.

    `digest` is a check, not a key: a gate finds an effect by its place in the scope and compares
    the digest. `encode` and `decode` carry the outcome to and from JSON.
    """

    kind: str
    _: KW_ONLY
    run: Callable[[], Awaitable[T]]
    digest: Callable[[], str]
    encode: Callable[[T], Any]
    decode: Callable[[Any], T]


class Gate(Protocol):
    """The one door for what is not deterministic."""

    async def call(self, effect: Effect[T]) -> T:
        """Return the outcome of `effect`: by running it, or from a record of an earlier run."""
        ...

    def now_s(self) -> float:
        """Return seconds since the epoch."""
        ...

    def entropy(self, size: int) -> bytes:
        """Return `size` random bytes."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True, slots=True)
class LiveGate:
    """Lets everything through: the real clock, the system's randomness, real calls."""

    wall_clock: Callable[[], float] = time.time
    urandom: Callable[[int], bytes] = os.urandom

    async def call(self, effect: Effect[T]) -> T:
        """Run the effect."""
        return await effect.run()

    def now_s(self) -> float:
        """Return seconds since the epoch."""
        return self.wall_clock()

    def entropy(self, size: int) -> bytes:
        """Return `size` random bytes."""
        return self.urandom(size)

    async def sleep(self, delay_s: float) -> None:
        """Wait on the event loop's clock."""
        await asyncio.sleep(delay_s)


LIVE = LiveGate()
