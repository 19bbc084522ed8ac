"""The news that a process has ended, and the watch that brings it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from supervision.report import LOGGER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision.reasons import Reason

__all__ = (
    "Down",
    "Monitor",
)


@dataclass(frozen=True, slots=True)
class Down:
    """The news that a monitored process ended."""

    ref: object
    pid: int | None
    reason: Reason


class Monitor:
    """A watch on one incarnation; its handler is called once, with a Down."""

    __slots__ = ("_handler", "_ref")

    def __init__(self, ref: object, handler: Callable[[Down], object]) -> None:
        self._ref = ref
        self._handler: Callable[[Down], object] | None = handler

    def demonitor(self) -> None:
        """Stop watching: the handler is not called any more, even if the end is under way."""
        self._handler = None

    def fire(self, pid: int | None, reason: Reason) -> None:
        """Tell the handler, once. What it raises is logged."""
        handler, self._handler = self._handler, None
        if handler is None:
            return

        try:
            handler(Down(self._ref, pid, reason))
        except Exception:
            logging.getLogger(LOGGER_NAME).exception("a monitor of %r raised", self._ref)
