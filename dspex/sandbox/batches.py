"""Batches of requests that are answered later: what is kept, and how far a batch is at a time.

A batch does nothing by itself: how far it is follows from the time that has passed, so that no task
runs in the background, and its lines are answered when somebody reads the results.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dspex.sandbox.exchange import Problem, RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex.sandbox.exchange import Ask
    from dspex.sandbox.wires import ChatWire, EmbeddingWire
    from dspex.sandbox.wires.embeddings import EmbeddingAsk

__all__ = ("Batch", "BatchStore", "Line", "Outcome", "Progress", "StoredFile", "check_identities")

Outcome = Literal["succeeded", "errored", "canceled", "expired", "processing"]
"""What became of a line."""

_LINE_SALT = 0x5EED


@dataclass(frozen=True, slots=True)
class Line:
    """One request of a batch: read when the batch came, or the problem that was found."""

    identity: str
    wire: ChatWire | EmbeddingWire
    wanted: Ask | EmbeddingAsk | Problem


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that was uploaded, or that a batch has written."""

    identity: str
    name: str
    purpose: str
    data: bytes
    created_s: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is: `done` lines are processed; `ended_s` is when it ended, if it has.

    `end` is why: "finished" when all lines are, "expired" and "canceled" when some may not be.
    """

    done: int
    end: Literal["finished", "expired", "canceled"] | None
    ended_s: float | None


@dataclass(slots=True)
class Batch:
    """A batch: its lines, and the times in seconds that decide how far it is.

    `failed_share` and `seed` decide which good lines fail all the same. `canceled_s` is set when
    somebody cancels it, and `results` once they have been made.
    """

    number: int
    wire: str
    lines: Sequence[Line]
    created_s: float
    finish_s: float
    expire_s: float
    failed_share: float
    seed: int
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    canceled_s: float | None = None
    results: Sequence[bytes] | None = None

    def progress(self, now_s: float) -> Progress:
        """Return how far it is: lines are done one after the other, evenly over `finish_s`."""
        ends = [(self.created_s + self.finish_s, "finished")]
        ends.append((self.created_s + self.expire_s, "expired"))
        if self.canceled_s is not None:
            ends.append((self.canceled_s, "canceled"))

        ended_s, why = min(ends, key=lambda end: end[0])
        if now_s < ended_s:
            return Progress(self._done(now_s), None, None)

        return Progress(self._done(ended_s), why, ended_s)  # type: ignore[arg-type] # one of the three above

    def _done(self, now_s: float) -> int:
        """Return how many lines are processed."""
        passed = now_s - self.created_s
        if passed >= self.finish_s:
            return len(self.lines)

        return int(len(self.lines) * passed / self.finish_s)

    def outcome(self, index: int, progress: Progress) -> Outcome:
        """Return what became of a line; in which order they are done is theirs."""
        if index < progress.done:
            return "errored" if self.problem(index) else "succeeded"

        match progress.end:
            case "expired":
                return "expired"
            case "canceled":
                return "canceled"
            case _:
                return "processing"

    def problem(self, index: int) -> Problem | None:
        """Return why a line fails, if it does: by itself, or by the script."""
        wanted = self.lines[index].wanted
        if isinstance(wanted, Problem):
            return wanted

        source = random.Random((self.seed << 40 | index) ^ _LINE_SALT)
        return Problem("server_error") if source.random() < self.failed_share else None

    def counts(self, progress: Progress) -> dict[Outcome, int]:
        """Return how many lines have each outcome."""
        counts: dict[Outcome, int] = {
            "processing": 0,
            "succeeded": 0,
            "errored": 0,
            "canceled": 0,
            "expired": 0,
        }
        for index in range(len(self.lines)):
            counts[self.outcome(index, progress)] += 1

        return counts


@dataclass(slots=True)
class BatchStore:
    """The files and batches of a server, by id; kept until it ends."""

    files: dict[str, StoredFile] = field(default_factory=dict[str, StoredFile])
    batches: dict[str, Batch] = field(default_factory=dict[str, Batch])

    def batch(self, identity: str, wire: str) -> Batch:
        """Return a batch of a wire.

        Raises:
            RequestError: there is none of this id.
        """
        batch = self.batches.get(identity)
        if batch is None or batch.wire != wire:
            raise RequestError(f"No batch found with id {identity!r}.", kind="not_found")

        return batch

    def file(self, identity: str) -> StoredFile:
        """Return a file.

        Raises:
            RequestError: there is none of this id.
        """
        if identity not in self.files:
            raise RequestError(f"No such File object: {identity}", kind="not_found", param="id")

        return self.files[identity]


def check_identities(lines: Sequence[Line]) -> str | None:
    """Return the first id that two lines share, or None."""
    seen: set[str] = set()
    for line in lines:
        if line.identity in seen:
            return line.identity

        seen.add(line.identity)

    return None
