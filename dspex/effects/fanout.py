"""Concurrency that a replay can follow: each branch in a scope named by its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar

from dspex.effects.scoping import current, enter

__all__ = ("map",)

T = TypeVar("T")
R = TypeVar("R")


async def map(
    function: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    max_concurrency: int = 100,
    name: str = "map",
    until: Callable[[R], bool] | None = None,
) -> list[R]:
    """Apply an async function to every item, at most `max_concurrency` at a time, results in order.

    Each item runs in a scope named by its index, so that a replay finds its calls whatever order
    they finish in. Items are pulled only when there is room.

    Args:
        function: what is done with an item.
        items: any sync or async iterable.
        max_concurrency: how many items are worked on at the same time.
        name: of the scope that holds the items' scopes.
        until: ends the list with the first result, in the order of the items, for which it is
            true; what is under way behind that item is cancelled. Which item that is depends on the
            results alone and not on which came first.

    Raises:
        ExceptionGroup: with the failure of each item that had failed when the others were
        cancelled.
    """
    if max_concurrency < 1:
        raise ValueError(f"max_concurrency must be at least 1, got {max_concurrency!r}")

    results: dict[int, R] = {}
    exits: list[BaseException] = []
    outer = current().child(name)
    source = _numbered(items)
    lock = asyncio.Lock()
    end = None if until is None else _End(until, results)

    async def work() -> None:
        while True:
            async with lock:  # an async generator cannot be advanced by two tasks at once
                numbered = await anext(source, None)

            if numbered is None or (end is not None and not end.begin(numbered[0])):
                return

            index, item = numbered
            enter(outer.branch(str(index)))
            results[index] = await _contained(function, item, f"{name}: item {index}", exits)
            if end is not None:
                end.finish(index)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_workers(items, max_concurrency)):
                group.create_task(work())
    except* _ExitError:
        raise exits[0] from None
    finally:
        await source.aclose()

    size = len(results) if end is None or end.index is None else end.index + 1
    return [results[index] for index in range(size)]


class _End(Generic[R]):
    """Finds the first result in order that ends a list, and cancels what is behind it."""

    def __init__(self, until: Callable[[R], bool], results: dict[int, R]) -> None:
        self.index: int | None = None
        self._until = until
        self._results = results
        self._judged = 0
        self._busy: dict[int, asyncio.Task[Any] | None] = {}

    def begin(self, index: int) -> bool:
        """Note who works on an item; False if the list has ended before it."""
        if self.index is not None:
            return False

        self._busy[index] = asyncio.current_task()
        return True

    def finish(self, index: int) -> None:
        """Judge what is complete from the first item on."""
        del self._busy[index]
        while self.index is None and self._judged in self._results:
            if self._until(self._results[self._judged]):
                self.index = self._judged
                self._cancel_the_rest()

            self._judged += 1

    def _cancel_the_rest(self) -> None:
        # All before it are done, so whoever is still busy works behind it.
        for task in self._busy.values():
            if task is not None:
                task.cancel()


class _ExitError(Exception):
    """Ends the group of an item that wants the process to end."""


async def _contained(
    function: Callable[[T], Awaitable[R]], item: T, label: str, exits: list[BaseException]
) -> R:
    """Return what the function makes of an item; a task of a group may end in errors only."""
    try:
        return await function(item)
    except (SystemExit, KeyboardInterrupt) as exc:
        # Out of a task of its own it would end the event loop and everybody in it. It belongs to
        # whoever called, and is raised there.
        exits.append(exc)
        raise _ExitError from exc
    except asyncio.CancelledError as exc:
        # A group takes any cancelled task for one of its own doing; the item would be missing from
        # the results without a word.
        if _is_wanted():
            raise

        raise RuntimeError(f"{label} was cancelled by its own work") from exc


def _is_wanted() -> bool:
    """Tell whether somebody has asked this task to end."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _workers(items: object, max_concurrency: int) -> int:
    try:
        return min(max_concurrency, len(items))  # type: ignore[arg-type]  # asked, not assumed
    except TypeError:
        return max_concurrency


async def _numbered(items: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[tuple[int, T], None]:
    index = 0
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield index, item
            index += 1

        return

    for item in items:
        yield index, item
        index += 1
