"""Find the asyncio tasks that a test started and left behind."""

from __future__ import annotations

import asyncio

__all__ = ("StrayTasksError", "assert_no_strays")


class StrayTasksError(AssertionError):
    """A test ended while tasks of its own were still running."""

    def __init__(self, tasks: set[asyncio.Task[object]]) -> None:
        lines = "\n".join(sorted(f"  {_describe(task)}" for task in tasks))
        super().__init__(
            f"{len(tasks)} asyncio task(s) outlived the test; cancel and await them:\n{lines}"
        )


def assert_no_strays(before: set[asyncio.Task[object]]) -> None:
    """Raise if the running loop holds an unfinished task besides those in `before` and this one.

    The strays are cancelled, so that one careless test does not disturb the next.
    """
    strays = asyncio.all_tasks() - before - {asyncio.current_task()}
    if not strays:
        return

    for task in strays:
        task.cancel("left behind by a test")

    raise StrayTasksError(strays)


def _describe(task: asyncio.Task[object]) -> str:
    frames = task.get_stack(limit=1)
    where = f"{frames[-1].f_code.co_filename}:{frames[-1].f_lineno}" if frames else "not started"
    return f"{task.get_name()!r} {getattr(task.get_coro(), '__qualname__', '?')} at {where}"
