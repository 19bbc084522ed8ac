"""Several programs on the same inputs, streamed together; one of them answers."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import anyio

from dspex.effects import current, scope
from dspex.usage import UsageMeter
from supervision import Companion

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from anyio.streams.memory import MemoryObjectSendStream

    from dspex.programs.program import Program
    from dspex.programs.streaming.events import StreamItem
    from dspex.programs.streaming.listening import Listener
    from dspex.signatures.prediction import Prediction

__all__ = ("Merged", "Select", "merge_streams")


@dataclass(frozen=True, slots=True)
class Merged:
    """An item of one of the streams; `source` is the place of its program in the list."""

    source: int
    item: StreamItem


Select: TypeAlias = "Literal['first'] | Callable[[Sequence[Prediction]], Prediction]"
"""Who answers: the first that is done, or whoever a function of all predictions chooses."""


async def merge_streams(
    programs: Sequence[Program], /, *, select: Select = "first", **inputs: Any
) -> AsyncGenerator[Merged | Prediction, None]:
    """Run several programs at once, yield what happens in all of them, and last one prediction.

    With "first" the others are cancelled as soon as one has its prediction. With a function, such
    as `majority`, all are waited for; it sees the predictions of those that did not fail. Usage
    counts all programs. Nothing is buffered: a slow consumer slows all of them.

    Raises:
        ValueError: there are no programs.
        ExceptionGroup: every program failed.
    """
    if not programs:
        raise ValueError("there are no programs to merge")

    send, receive = anyio.create_memory_object_stream[Merged](0)
    ends = _Ends(len(programs))
    meter = UsageMeter(current().meter)
    with receive:
        async with AsyncExitStack() as running:
            with send:
                for index, program in enumerate(programs):
                    work = _run(index, program, inputs, send.clone(), ends, meter)
                    _ = await running.enter_async_context(Companion(work))

            async for item in receive:
                yield item
                if select == "first" and ends.predictions:
                    break

    chosen = ends.chosen(select)
    yield chosen.with_usage(meter.total)


class _Ends:
    """How the programs have ended so far."""

    def __init__(self, count: int) -> None:
        self.predictions: dict[int, Prediction] = {}
        self.errors: dict[int, Exception] = {}
        self.exit: BaseException | None = None
        self._count = count

    def chosen(self, select: Select) -> Prediction:
        if self.exit is not None:
            raise self.exit

        if not self.predictions:
            errors = [self.errors[index] for index in sorted(self.errors)]
            raise ExceptionGroup(f"all {self._count} programs failed", errors)

        if select == "first":
            return next(iter(self.predictions.values()))

        return select([self.predictions[index] for index in sorted(self.predictions)])


async def _run(
    index: int,
    program: Program,
    inputs: dict[str, Any],
    send: MemoryObjectSendStream[Merged],
    ends: _Ends,
    meter: UsageMeter,
) -> None:
    place = current().branch(f"stream{index}").path
    listener: Listener = _Channel(index, send, len(place))
    with send, scope(f"stream{index}", listener=listener, meter=meter):
        try:
            prediction = await program(**inputs)
            ends.predictions[index] = prediction
            await send.send(Merged(index, prediction))
        except Exception as exc:
            ends.errors[index] = exc
        except (SystemExit, KeyboardInterrupt) as exc:
            ends.exit = exc


class _Channel:
    """The listener of one of the streams."""

    __slots__ = ("_depth", "_index", "_send")

    def __init__(self, index: int, send: MemoryObjectSendStream[Merged], depth: int) -> None:
        self._index = index
        self._send = send
        self._depth = depth + 1

    async def send(self, item: StreamItem) -> None:
        """Hand on an item; waits until the consumer has taken it."""
        await self._send.send(Merged(self._index, item))

    def place(self, path: tuple[str, ...]) -> str:
        """Return a scope's path as seen from the program that is streamed."""
        return ".".join(path[self._depth :]) or "self"
