"""A program that is watched while it answers, and ended or replaced when quality falls."""

from __future__ import annotations

import asyncio
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from dspex.effects import current, scope
from dspex.errors import AnswerRejected
from dspex.programs.program import Program
from dspex.programs.streaming.events import FieldChunk, Retracted, Switched
from dspex.programs.streaming.listening import Listener, listener_of
from dspex.programs.streaming.repetition import RepetitionCounter

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex.programs.streaming.events import StreamItem
    from dspex.signatures.prediction import Prediction

__all__ = ("Check", "StreamMonitor", "StreamQuality")


@dataclass(frozen=True, slots=True)
class StreamQuality:
    """How the text of one field is coming along."""

    predictor: str
    field: str
    _: KW_ONLY
    text: str
    tokens: int
    repeats: int
    elapsed_s: float

    @property
    def tokens_per_s(self) -> float:
        """The mean rate since the field began."""
        return self.tokens / self.elapsed_s if self.elapsed_s > 0 else float("inf")


Check: TypeAlias = "Callable[[StreamQuality], str | None]"
"""A judge of your own: what is wrong with a field so far, or None."""


class StreamMonitor(Program):
    """Watches what a program writes, and ends it as soon as something is wrong.

        careful = StreamMonitor(Predict("question -> essay"), fallback=smaller)

    Judged at every chunk that arrives: a span of `span_tokens` words that comes `max_repeats`
    times, a rate below `min_tokens_per_s`, and whatever `check` finds. What is wrong ends the
    program at once; `fallback` then answers from the beginning, unwatched, and usage counts both.
    Works as a plain call and, with a `Switched` item in between, as a stream.

    Args:
        program: what is watched.
        fallback: what takes over; without it the call ends in `AnswerRejected`.
        span_tokens: how long a repeated span is.
        max_repeats: how often it may come before it is too often.
        min_tokens_per_s: the slowest rate; None does not mind.
        grace_s: how long a field may take before its rate counts.
        check: `StreamQuality -> reason or None`, called at every chunk; plain and quick.
    """

    program: Program
    fallback: Program | None
    span_tokens: int
    max_repeats: int
    min_tokens_per_s: float | None
    grace_s: float
    check: Check | None

    def __init__(
        self,
        program: Program,
        *,
        fallback: Program | None = None,
        span_tokens: int = 20,
        max_repeats: int = 3,
        min_tokens_per_s: float | None = None,
        grace_s: float = 5.0,
        check: Check | None = None,
    ) -> None:
        if span_tokens < 1 or max_repeats < 2:
            raise ValueError(
                "a repetition is a span of 1 token or more that comes twice or more, got "
                f"span_tokens={span_tokens!r}, max_repeats={max_repeats!r}"
            )

        self.program = program
        self.fallback = fallback
        self.span_tokens = span_tokens
        self.max_repeats = max_repeats
        self.min_tokens_per_s = min_tokens_per_s
        self.grace_s = grace_s
        self.check = check

    async def forward(self, **inputs: Any) -> Prediction:
        """Return the prediction of the program, or of the one that took over.

        Raises:
            AnswerRejected: something was wrong and there is no fallback.
        """
        outer = listener_of(current())
        watching = _Watching(self, outer, asyncio.get_running_loop().time)
        try:
            with scope(listener=watching):
                prediction = await self.program(**inputs)
        except Exception:
            if watching.stopped is None:
                raise
        else:
            if watching.stopped is None:
                return prediction

        # What the program made of being ended does not count: it may take any error for an answer.
        if self.fallback is None:
            raise AnswerRejected(f"the stream was ended: {watching.stopped}")

        if outer is not None:
            names = type(self.program).__name__, type(self.fallback).__name__
            await outer.send(Switched(watching.stopped, *names))

        return await self.fallback(**inputs)

    def input_names(self) -> list[str]:
        """Return the names of the inputs it takes, in order."""
        return self.program.input_names()

    def problem(self, quality: StreamQuality) -> str | None:
        """Return what is wrong with a field so far, or None."""
        place = f"`{quality.field}` of {quality.predictor}"
        if quality.repeats >= self.max_repeats:
            return f"{place} repeats {self.span_tokens} words {quality.repeats} times"

        slowest = self.min_tokens_per_s
        late = quality.elapsed_s >= self.grace_s
        if slowest is not None and late and quality.tokens_per_s < slowest:
            return f"{place} comes at {quality.tokens_per_s:.2g} words/s, less than {slowest:g}"

        found = None if self.check is None else self.check(quality)
        return None if found is None else f"{place}: {found}"


class _StoppedError(Exception):
    """Ends the program that a monitor watches; never leaves the monitor."""


class _Watching:
    """A listener that judges what it hears before it hands it on."""

    def __init__(
        self, monitor: StreamMonitor, outer: Listener | None, clock: Callable[[], float]
    ) -> None:
        self._monitor = monitor
        self._outer = outer
        self._clock = clock
        self._fields: dict[tuple[str, str], _Field] = {}
        self._depth = len(current().path)
        self.stopped: str | None = None

    async def send(self, item: StreamItem) -> None:
        """Hand on an item, unless it shows that something is wrong."""
        if self.stopped is not None:
            raise _StoppedError(self.stopped)

        if isinstance(item, FieldChunk):
            self.stopped = self._monitor.problem(self._heard(item))
            if self.stopped is not None:
                raise _StoppedError(self.stopped)

        elif isinstance(item, Retracted):
            self._fields = {k: v for k, v in self._fields.items() if k[0] != item.predictor}

        if self._outer is not None:
            await self._outer.send(item)

    def place(self, path: tuple[str, ...]) -> str:
        """Return a scope's path as whoever listens outside sees it."""
        if self._outer is not None:
            return self._outer.place(path)

        return ".".join(path[self._depth :]) or "self"

    def _heard(self, chunk: FieldChunk) -> StreamQuality:
        now_s, key = self._clock(), (chunk.predictor, chunk.field)
        field = self._fields.get(key)
        if field is None:
            counter = RepetitionCounter(self._monitor.span_tokens)
            field = self._fields[key] = _Field(counter, now_s)

        field.texts.append(chunk.text)
        field.counter.feed(chunk.text)
        return StreamQuality(
            *key,
            text="".join(field.texts) if self._monitor.check is not None else chunk.text,
            tokens=field.counter.tokens,
            repeats=field.counter.most,
            elapsed_s=now_s - field.began_s,
        )


class _Field:
    __slots__ = ("began_s", "counter", "texts")

    def __init__(self, counter: RepetitionCounter, began_s: float) -> None:
        self.counter = counter
        self.began_s = began_s
        self.texts = list[str]()
