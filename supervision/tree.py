"""What all supervisors of one tree share, made at its root and handed down."""

from __future__ import annotations

import asyncio
import contextvars
import random as random_module
import threading
from typing import TYPE_CHECKING

from supervision.deadline import Deadlines
from supervision.report import Reporter, Subject
from supervision.telemetry import Bus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from supervision.child import Child

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
        "find_orphans",
        "loop",
        "random",
        "reporter",
        "telemetry",
        "thread",
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
        self.thread = threading.get_ident()
        self.clock: Callable[[], float] = self.loop.time if clock is None else clock
        self.random = random
        self.telemetry = Bus() if telemetry is None else telemetry
        self.reporter = Reporter(self.telemetry)
        self.deadlines = Deadlines() if deadlines is None else deadlines
        self.context = contextvars.copy_context()
        self.find_orphans: Callable[[Child], Sequence[object]] | None = None
        self.zombies: set[Subject] = set()
        self._serial = 0

    def check_loop(self, name: str) -> None:
        """Raise RuntimeError unless the running event loop is that of the tree.

        Hot paths first compare `thread`, and ask whether `loop` runs: a thread runs one loop at a
        time, and `get_running_loop` makes a system call before CPython 3.12.
        """
        if asyncio.get_running_loop() is not self.loop:
            raise RuntimeError(
                f"{name!r} lives in another event loop; call it from there, or use call_threadsafe"
            )

    def next_serial(self) -> int:
        """Return a number that no other process of this tree has."""
        self._serial += 1
        return self._serial
