"""What a program takes from its surroundings instead of `time`, `random` and `asyncio.sleep`."""

from __future__ import annotations

import os
import random as _random
from uuid import UUID

from dspex.effects.scoping import current

__all__ = ("new_correlation_id", "now_s", "random", "sleep", "uuid4")


def now_s() -> float:
    """Return seconds since the epoch, as the current gate has them."""
    return current().gate.now_s()


def random(seed: int | None = None) -> _random.Random:
    """Return a generator of its own: from `seed`, or from the gate's entropy when None."""
    if seed is None:
        seed = int.from_bytes(current().gate.entropy(8), "big")

    return _random.Random(seed)


def uuid4() -> UUID:
    """Return a random UUID whose bits came through the gate."""
    return UUID(bytes=current().gate.entropy(16), version=4)


async def sleep(delay_s: float) -> None:
    """Wait through the gate, so that a replay need not wait again."""
    await current().gate.sleep(delay_s)


def new_correlation_id() -> str:
    """Return 16 hexadecimal digits that follow one request through tasks, logs and spans.

    Not through the gate: it names a run of the code, and a replay is another run.
    """
    return os.urandom(8).hex()
