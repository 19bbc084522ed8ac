"""Tasks that belong to a process and end with it, and the search for those that do not."""

from __future__ import annotations

import asyncio
import gc
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar

from supervision.child import CURRENT, Child
from supervision.errors import NoProc
from supervision.job import contain

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = (
    "orphans",
    "spawn",
)

R = TypeVar("R")


def spawn(work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
    """Run `work` in a task of the process we are: it is cancelled when that ends.

    If it crashes, so does the process. Raises NoProc outside of a child.
    """
    child = CURRENT.get()
    if child is None:
        work.close()
        raise NoProc("spawn() outside of a child")

    return child.spawn(work)


def orphans(child: Child) -> list[asyncio.Task[Any]]:
    """Return the tasks made in the name of `child` that still run, but not those it spawned.

    For debugging: looks at all tasks of the loop.
    """
    return [
        task
        for task in asyncio.all_tasks(child.tree.loop)
        if task is not child.task and not _is_job(task) and _is_of(child, task)
    ]


def _is_job(task: asyncio.Task[Any]) -> bool:
    """Tell whether it runs under a TaskSupervisor, in a copy of the context of whoever asked."""
    return getattr(task.get_coro(), "cr_code", None) is contain.__code__


def _is_of(child: Child, task: asyncio.Task[Any]) -> bool:
    # Before CPython 3.12 a task does not tell its context, but the garbage collector does.
    contexts = (each for each in gc.get_referents(task) if isinstance(each, Context))
    return any(context.get(CURRENT) is child for context in contexts)
