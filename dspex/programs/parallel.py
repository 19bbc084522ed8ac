"""Different programs on different inputs, under one bound; a failure is a value."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from dspex.effects import map as map_concurrently
from dspex.signatures.example import Example

if TYPE_CHECKING:
    from dspex.programs.program import Program
    from dspex.signatures.prediction import Prediction
    from dspex.signatures.record import Record

__all__ = ("Call", "CallFailed", "Calls", "Parallel", "Rows", "inputs_of", "paired")

Call: TypeAlias = "tuple[Program, Mapping[str, Any] | Record]"
"""A program and its inputs; an Example gives its inputs alone."""

Calls: TypeAlias = "Iterable[Call] | AsyncIterable[Call]"
"""The calls to make, from any sync or async iterable."""


Rows: TypeAlias = "Iterable[Mapping[str, Any] | Record] | AsyncIterable[Mapping[str, Any] | Record]"
"""Inputs for one program, from any sync or async iterable."""


@dataclass(frozen=True, slots=True)
class CallFailed:
    """One call that ended with an error, at its place among the results."""

    index: int
    error: Exception

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """Runs calls of any programs, at most `max_concurrency` at a time, results in order.

        results = await Parallel(max_concurrency=50)([(qa, {"question": "..."}), (triage, example)])

    Args:
        max_concurrency: of all calls together.
        on_error: "return" puts a `CallFailed`, which is false, where the prediction would be;
            "raise" cancels the rest and raises the failures in an `ExceptionGroup`.
        max_errors: with "return", more failures than this cancel the rest and are raised.
    """

    max_concurrency: int = 100
    on_error: Literal["return", "raise"] = "return"
    max_errors: int | None = None

    async def __call__(self, calls: Calls) -> list[Prediction | CallFailed]:
        """Return a prediction or a failure for every call; calls are pulled when there is room.

        Raises:
            ExceptionGroup: see `on_error` and `max_errors`.
        """
        failures = list[Exception]()

        async def one(numbered: tuple[int, Program, Mapping[str, Any]]) -> Prediction | CallFailed:
            index, program, inputs = numbered
            try:
                return await program(**inputs)
            except Exception as exc:
                failures.append(exc)
                if self.on_error == "raise" or self._are_too_many(failures):
                    raise _StoppedError from exc

                return CallFailed(index, exc)

        try:
            return await map_concurrently(
                one, _numbered(calls), max_concurrency=self.max_concurrency, name="call"
            )
        except* _StoppedError:
            raise ExceptionGroup(f"{len(failures)} of the calls failed", failures) from None

    def _are_too_many(self, failures: list[Exception]) -> bool:
        return self.max_errors is not None and len(failures) > self.max_errors


class _StoppedError(Exception):
    """Ends the others after a failure that was one too many."""


async def paired(program: Program, rows: Rows) -> AsyncGenerator[Call, None]:
    """Yield the calls of one program on many rows."""
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield program, row

        return

    for row in rows:
        yield program, row


async def _numbered(calls: Calls) -> AsyncIterable[tuple[int, Program, Mapping[str, Any]]]:
    index = 0
    if isinstance(calls, AsyncIterable):
        async for program, inputs in calls:
            yield index, program, inputs_of(inputs)
            index += 1

        return

    for program, inputs in calls:
        yield index, program, inputs_of(inputs)
        index += 1


def inputs_of(row: Mapping[str, Any] | Record) -> dict[str, Any]:
    """Return the inputs in a row: an Example's marked inputs, or all of a mapping."""
    return row.inputs() if isinstance(row, Example) else {name: row[name] for name in row}
