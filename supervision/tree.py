"""What all supervisors of one tree share, made at its root and handed down."""

from __future__ import annotations

import asyncio
import contextvars
import random as random_module
from typing import TYPE_CHECKING

from supervision.deadline import Deadlines
from supervision.report import Reporter, Subject
from supervision.telemetry import Bus

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Tree",)


class Tree:
    """The clock, the bus, the timers and the base context of one tree of supervisors.

    Every child starts from a copy of `context`, which is the context in which the root was made,
    so that neither a request nor a crash leaks its context variables into a restart.
    """

    __slots__ = (
        "_serial",
        "clock",
        "context",
        "deadlines",
        "loop",
        "random",
        "reporter",
        "telemetry",
        "zombies",
    )

    def __init__(
        self,
        *,
        telemetry: Bus | None = None,
        clock: Callable[[], float] | None = None,
        random: Callable[[], float] = random_module.random,
        deadlines: Deadlines | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.clock: Callable[[], float] = self.loop.time if clock is None else clock
        self.random = random
        self.telemetry = Bus() if telemetry is None else telemetry
        self.reporter = Reporter(self.telemetry)
        self.deadlines = Deadlines() if deadlines is None else deadlines
        self.context = contextvars.copy_context()
        self.zombies: set[Subject] = set()
        self._serial = 0

    def next_serial(self) -> int:
        """Return a number that no other process of this tree has."""
        self._serial += 1
        return self._serial
