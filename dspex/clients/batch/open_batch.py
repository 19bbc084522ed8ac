"""A batch that is out, and the callers that wait for its lines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dspex.errors import ErrorData, to_exception

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dspex.clients.batch.line import BatchLine, LineResult

__all__ = ("OpenBatch", "Waiter", "answer")


class Waiter:
    """A caller that waits for the outcome of one line."""

    __slots__ = ("answered", "line")

    def __init__(self, line: BatchLine) -> None:
        self.line = line
        self.answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    @property
    def gone(self) -> bool:
        """Whether nobody waits any more."""
        return self.answered.done()


def answer(waiter: Waiter, outcome: bytes | ErrorData) -> None:
    """Tell a waiter what came of its line; one that is gone hears nothing."""
    if waiter.answered.done():
        return

    if isinstance(outcome, bytes):
        waiter.answered.set_result(outcome)
    else:
        waiter.answered.set_exception(to_exception(outcome))


class OpenBatch:
    """A batch that the provider has, or may have, got.

    Args:
        nonce: our name for it.
        lines: the ids of those of its lines whose outcome has not been handed on.
        batch: the provider's name for it; None if it may not have been made.
    """

    __slots__ = (
        "_without",
        "batch",
        "delay_s",
        "lines",
        "nonce",
        "poll_at",
        "results",
        "waiters",
    )

    def __init__(self, nonce: str, lines: Iterable[str], batch: str | None) -> None:
        self.nonce = nonce
        self.lines = set(lines)
        self.batch = batch
        self.waiters: dict[str, Waiter] = {}
        self.results: dict[str, bytes | ErrorData] | None = None
        self._without: ErrorData | None = None
        self.poll_at = 0.0
        self.delay_s = 0.0

    def __repr__(self) -> str:
        state = "running" if self.results is None else "ended"
        return f"<OpenBatch {self.batch} {state}, {len(self.lines)} lines>"

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for it: if not, nobody asks how it is doing."""
        return any(not waiter.gone for waiter in self.waiters.values())

    def wait(self, waiter: Waiter) -> None:
        """Let one more caller wait; for one that left, it takes its place."""
        self.waiters[waiter.line.id] = waiter

    def end(self, results: Iterable[LineResult], without: ErrorData) -> None:
        """Take in the outcomes of all lines that have one, and that of all others."""
        self.results = {result.id: result.outcome for result in results}
        self._without = without

    def take(self, line: str) -> bytes | ErrorData:
        """Hand on the outcome of one line of a batch that has ended."""
        assert self.results is not None
        assert self._without is not None
        self.lines.discard(line)
        return self.results.pop(line, self._without)
