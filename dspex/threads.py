"""A thread that works off a bounded queue, as much at a time as has gathered."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("BatchThread",)

T = TypeVar("T")


class BatchThread(Generic[T]):
    """Hands what is offered to `work`, in order, in batches, in a thread of its own.

    The thread is a daemon: a disk that hangs does not hold up the end of the program.

    Args:
        name: of the thread.
        work: takes one batch; it must not raise.
        finish: runs last, in the thread, when everything is worked off.
        max_waiting: what is offered beyond this is refused.
        max_batch: size of a batch.
        gather_s: how long the first of a batch may wait for others.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[list[T]], None],
        *,
        finish: Callable[[], None],
        max_waiting: int,
        max_batch: int,
        gather_s: float = 0.0,
    ) -> None:
        self._work = work
        self._finish = finish
        self._max_waiting = max_waiting
        self._max_batch = max_batch
        self._gather_s = gather_s
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<BatchThread {self._thread.name} {len(self._items)} waiting>"

    def offer(self, item: T) -> bool:
        """Take `item` to be worked on; False if the queue is full or closed. Never waits long."""
        with self._changed:
            waiting = len(self._items)
            if self._closing or waiting >= self._max_waiting:
                return False

            self._items.append(item)
            if waiting in (0, self._max_batch - 1):
                self._changed.notify()

            return True

    def close(self, timeout_s: float) -> bool:
        """Take nothing more, work off what waits, and end; False if that takes too long."""
        with self._changed:
            self._closing = True
            self._changed.notify()

        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while batch := self._next():
            self._work(batch)

        self._finish()

    def _next(self) -> list[T]:
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closing)
            if self._gather_s:
                self._changed.wait_for(self._is_full, self._gather_s)

            size = min(self._max_batch, len(self._items))
            return [self._items.popleft() for _ in range(size)]

    def _is_full(self) -> bool:
        return self._closing or len(self._items) >= self._max_batch
