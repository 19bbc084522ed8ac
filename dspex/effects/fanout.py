"""Concurrency that a replay can follow: each branch in a scope named by its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import TypeVar

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
) -> list[R]:
    """Apply an async function to every item, at most `max_concurrency` at a time, results in order.

    Each item runs in a scope named by its index, so that a replay finds its calls whatever order
    they finish in. Items are pulled only when there is room.

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

    async def work() -> None:
        while True:
            async with lock:  # an async generator cannot be advanced by two tasks at once
                numbered = await anext(source, None)

            if numbered is None:
                return

            index, item = numbered
            enter(outer.branch(str(index)))
            try:
                results[index] = await function(item)
            except (SystemExit, KeyboardInterrupt) as exc:
                # Out of a task of its own it would end the event loop and everybody in it. It
                # belongs to whoever called, and is raised there.
                exits.append(exc)
                raise _ExitError from exc

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_workers(items, max_concurrency)):
                group.create_task(work())
    except* _ExitError:
        raise exits[0] from None
    finally:
        await source.aclose()

    return [results[index] for index in range(len(results))]


class _ExitError(Exception):
    """Ends the group of an item that wants the process to end."""


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
