"""Requests until they are enough for a batch."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from dspex.clients.batch.open_batch import Waiter, answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex.clients.batch.settings import BatchSettings
    from dspex.errors import ErrorData

__all__ = ("Gathering", "Group")


class Group:
    """Requests for one path and one model, until they are enough for a batch."""

    __slots__ = ("due_at", "size", "waiters")

    def __init__(self, due_at: float) -> None:
        self.due_at = due_at
        self.size = 0
        self.waiters: list[Waiter] = []

    def add(self, waiter: Waiter) -> None:
        """Take in one more."""
        self.waiters.append(waiter)
        self.size += waiter.line.size

    def fail(self, error: ErrorData) -> None:
        """Tell everybody that it came to nothing."""
        for waiter in self.waiters:
            answer(waiter, error)


class Gathering:
    """Puts requests of one path and one model together. No clock of its own.

    Args:
        settings: how many, how large, and for how long.
    """

    __slots__ = ("_full", "_groups", "_settings")

    def __init__(self, settings: BatchSettings) -> None:
        self._settings = settings
        self._groups: dict[tuple[str, str], Group] = {}
        self._full: deque[Group] = deque()

    def __iter__(self) -> Iterator[Group]:
        yield from self._full
        yield from self._groups.values()

    def add(self, waiter: Waiter, now: float) -> None:
        """Take in one request; the first of a group sets its time."""
        line, settings = waiter.line, self._settings
        key = (line.path, line.model)
        group = self._groups.get(key)
        if group is not None and group.size + line.size > settings.max_bytes:
            self._full.append(self._groups.pop(key))
            group = None

        if group is None:
            group = self._groups[key] = Group(now + settings.max_wait_s)

        group.add(waiter)
        if len(group.waiters) >= settings.max_requests:
            self._full.append(self._groups.pop(key))

    def take(self, now: float) -> Group | None:
        """Return a group that is full or whose time has come, and let go of it."""
        for key, group in list(self._groups.items()):
            if group.due_at <= now:
                self._full.append(self._groups.pop(key))

        return self._full.popleft() if self._full else None

    def due_at(self) -> list[float]:
        """Return when the groups are to go that are not full."""
        return [group.due_at for group in self._groups.values()]
