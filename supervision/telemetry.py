"""An event bus: whoever wants to watch attaches a handler, and nobody else pays.

An event has a name (a tuple of strings, matched exactly), measurements (numbers) and metadata.
Handlers run at once, in the caller of `execute`, in the order in which they were attached. One
that raises is detached from everything and the failure is an event itself, `HANDLER_FAILURE`; the
caller never sees it. Source: the `telemetry` library of the Erlang world.

A hot path asks first, so that nothing is built when nobody listens:

    if bus.active and CALL_STOP in bus.listeners:
        bus.execute(CALL_STOP, {"duration": duration}, {"model": model})
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias, cast

__all__ = (
    "HANDLER_FAILURE",
    "Bus",
    "EventName",
    "Handler",
    "Listener",
    "Span",
)

EventName: TypeAlias = tuple[str, ...]

Handler: TypeAlias = Callable[[EventName, Mapping[str, object], Mapping[str, object], object], None]
"""Called with the event's name, its measurements, its metadata, and the handler's own config."""

HANDLER_FAILURE: Final[EventName] = ("telemetry", "handler", "failure")

_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Listener:
    """A handler and what it was attached with."""

    id: object
    handler: Handler
    config: object = None


class Span:
    """The open span; what is put in `measurements` and `metadata` is part of its last event."""

    __slots__ = ("context", "measurements", "metadata")

    def __init__(self, context: object, metadata: Mapping[str, object]) -> None:
        self.context = context
        self.measurements: dict[str, object] = {}
        self.metadata: dict[str, object] = dict(metadata)


class Bus:
    """A table of who listens to what.

    `active` is False while nobody listens to anything; `listeners` holds exactly the events that
    somebody listens to. Attach and detach from the event loop's thread; changes replace the
    tables and never touch an `execute` under way.
    """

    __slots__ = ("_events_of", "_monotonic", "_system_time", "active", "listeners")

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        system_time: Callable[[], float] = time.time,
    ) -> None:
        self.active = False
        self.listeners: Mapping[EventName, tuple[Listener, ...]] = {}
        self._events_of: dict[object, frozenset[EventName]] = {}
        self._monotonic = monotonic
        self._system_time = system_time

    def __repr__(self) -> str:
        return f"<Bus {len(self._events_of)} handlers on {len(self.listeners)} events>"

    def has(self, event: EventName) -> bool:
        """Tell whether anybody listens to `event`."""
        return event in self.listeners

    def attach(self, id: object, event: EventName, handler: Handler, config: object = None) -> None:
        """Call `handler` on each `event` from now on; raise ValueError if `id` is attached."""
        self.attach_many(id, (event,), handler, config)

    def attach_many(
        self, id: object, events: Iterable[EventName], handler: Handler, config: object = None
    ) -> None:
        """Call `handler` on each of `events` from now on; raise ValueError if `id` is attached."""
        if id in self._events_of:
            raise ValueError(f"handler id {id!r} is already attached; detach it or use another")

        names = frozenset(_checked(event) for event in events)
        self._events_of[id] = names
        listener = Listener(id, handler, config)
        table = dict(self.listeners)
        for name in names:
            table[name] = (*table.get(name, ()), listener)

        self._replace(table)

    def detach(self, id: object) -> None:
        """Stop calling the handler attached as `id`; raise LookupError if there is none."""
        if id not in self._events_of:
            raise LookupError(f"no handler is attached as {id!r}")

        names = self._events_of.pop(id)
        table = dict(self.listeners)
        for name in names:
            left = tuple(listener for listener in table.pop(name) if listener.id != id)
            if left:
                table[name] = left

        self._replace(table)

    def execute(
        self,
        event: EventName,
        measurements: Mapping[str, object] = _NOTHING,
        metadata: Mapping[str, object] = _NOTHING,
    ) -> None:
        """Call the handlers of `event`. Never raises what a handler raises."""
        for listener in self.listeners.get(event, ()):
            try:
                listener.handler(event, measurements, metadata, listener.config)
            except Exception as exc:
                self._fail(listener, event, exc)

    @contextmanager
    def span(
        self, prefix: EventName, metadata: Mapping[str, object] = _NOTHING
    ) -> Generator[Span, None, None]:
        """Emit `prefix` + "start", and + "stop" or + "exception" when the block ends.

        The events share `metadata["span"]`; durations are in seconds.
        """
        span = Span(object(), metadata)
        shared = {**metadata, "span": span.context}
        began = self._monotonic()
        self.execute(
            (*prefix, "start"),
            {"monotonic_time": began, "system_time": self._system_time()},
            shared,
        )
        try:
            yield span
        except BaseException as exc:
            failure = {"kind": type(exc).__name__, "reason": exc, "stacktrace": exc.__traceback__}
            self._end(span, (*prefix, "exception"), began, failure)
            raise

        self._end(span, (*prefix, "stop"), began, _NOTHING)

    def _end(self, span: Span, event: EventName, began: float, extra: Mapping[str, object]) -> None:
        now = self._monotonic()
        measurements = {**span.measurements, "duration": now - began, "monotonic_time": now}
        self.execute(event, measurements, {**span.metadata, **extra, "span": span.context})

    def _replace(self, table: Mapping[EventName, tuple[Listener, ...]]) -> None:
        self.listeners = table
        self.active = bool(table)

    def _fail(self, listener: Listener, event: EventName, exc: Exception) -> None:
        # It may have detached itself before it raised, or a nested event may have done it.
        if listener.id in self._events_of:
            self.detach(listener.id)

        self.execute(
            HANDLER_FAILURE,
            {"monotonic_time": self._monotonic()},
            {"handler_id": listener.id, "event": event, "reason": exc, "config": listener.config},
        )


def _checked(event: object) -> EventName:
    if not isinstance(event, tuple) or not event:
        raise TypeError(f"an event name is a tuple of strings, got {event!r}")

    return cast("EventName", event)
