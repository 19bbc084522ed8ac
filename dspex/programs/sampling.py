"""Runs of programs side by side, as samples of their own, whose failures stay plain errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from dspex.effects import current, map as map_concurrently, scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from dspex.programs.program import Program
    from dspex.signatures.prediction import Prediction

__all__ = ("run_all", "sampled")

T = TypeVar("T")
R = TypeVar("R")


async def sampled(
    program: Program, inputs: Mapping[str, Any], index: int, *, of: int, **changes: Any
) -> Prediction:
    """Run a program as sample `index` of `of`.

    Its requests carry the number, so that neither a cache nor a replay answers two samples as one.
    Samples of samples stay apart. `changes` are further fields of the scope.
    """
    with scope(sample=current().sample * of + index, **changes):
        return await program(**inputs)


async def run_all(
    function: Callable[[T], Awaitable[R]],
    items: Sequence[T],
    *,
    name: str,
    max_concurrency: int | None = None,
    until: Callable[[R], bool] | None = None,
) -> list[R]:
    """Apply an async function to every item at the same time; see `effects.map`.

    Raises:
        Exception: what the first item that failed raised, so that callers of a program need not
            know what runs side by side in it; its cause is the group of all failures.
    """
    try:
        return await map_concurrently(
            function,
            items,
            max_concurrency=max_concurrency or max(len(items), 1),
            name=name,
            until=until,
        )
    except ExceptionGroup as group:
        error = group.exceptions[0]
        if len(group.exceptions) > 1:
            error.add_note(f"{len(group.exceptions) - 1} more failed with it: see the cause")

        raise error from group
