"""The event bus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from supervision import Bus
from supervision.telemetry import HANDLER_FAILURE, EventName
from supervision.testing import FakeClock

A: EventName = ("a", "b")
B: EventName = ("a",)


class Recorder:
    """A handler that keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[EventName, Mapping[str, Any], Mapping[str, Any], object]] = []

    def __call__(
        self,
        event: EventName,
        measurements: Mapping[str, Any],
        metadata: Mapping[str, Any],
        config: object,
    ) -> None:
        self.seen.append((event, measurements, metadata, config))


def test_exact_names_in_order_of_attachment() -> None:
    """N06: a handler hears exactly its events, with its config, in the order of attachment."""
    bus = Bus()
    order: list[int] = []
    record = Recorder()
    bus.attach("r", A, record, "config")
    for n in range(3):
        bus.attach(n, A, lambda *_, n=n: order.append(n))

    bus.execute(A, {"x": 1}, {"y": 2})
    bus.execute(B)
    assert record.seen == [(A, {"x": 1}, {"y": 2}, "config")]
    assert order == [0, 1, 2]


def test_nobody_listens() -> None:
    """Whether somebody listens is one look, at all and for one event."""
    bus = Bus()
    assert (bus.active, bus.has(A)) == (False, False)
    bus.attach("r", A, Recorder())
    assert (bus.active, bus.has(A), bus.has(B)) == (True, True, False)
    bus.detach("r")
    assert (bus.active, bus.has(A), dict(bus.listeners)) == (False, False, {})


def test_ids_are_unique() -> None:
    """N06: an id is attached once; an unknown one cannot be detached; wrong names are refused."""
    bus = Bus()
    bus.attach("r", A, Recorder())
    with pytest.raises(ValueError, match="already attached"):
        bus.attach("r", B, Recorder())

    with pytest.raises(LookupError):
        bus.detach("other")

    with pytest.raises(TypeError):
        bus.attach("s", "a.b", Recorder())  # type: ignore[arg-type]

    assert not bus.has(B)


def test_failing_handler_is_detached_from_everything() -> None:
    """N06: a handler that raises loses all its events; others and the emitter are unharmed."""
    bus = Bus()
    failures, record = Recorder(), Recorder()

    def failing(*_: object) -> None:
        raise ValueError("bug")

    bus.attach_many("bad", (A, B), failing)
    bus.attach("good", A, record)
    bus.attach("watch", HANDLER_FAILURE, failures)
    bus.execute(A)
    bus.execute(B)
    assert len(record.seen) == 1
    assert not bus.has(B)
    (_, _, metadata, _) = failures.seen[0]
    assert metadata["handler_id"] == "bad"
    assert metadata["event"] == A
    assert isinstance(metadata["reason"], ValueError)


def test_failing_failure_handler() -> None:
    """N06: a handler of failures that fails is detached as well, and that is the end of it."""
    bus = Bus()

    def failing(*_: object) -> None:
        raise ValueError("bug")

    bus.attach_many("bad", (A, HANDLER_FAILURE), failing)
    bus.execute(A)
    assert not bus.active


def test_handler_that_detaches_itself() -> None:
    """A handler may change the table while it is being called."""
    bus = Bus()
    calls: list[str] = []

    def once(*_: object) -> None:
        calls.append("once")
        bus.detach("once")
        raise ValueError

    bus.attach("once", A, once)
    bus.attach("next", A, lambda *_: calls.append("next"))
    bus.execute(A)
    assert calls == ["once", "next"]


class TestSpan:
    def test_stop(self) -> None:
        """N07: a span emits start and stop with a shared context and a duration."""
        clock = FakeClock(10.0)
        bus = Bus(monotonic=clock, system_time=lambda: 99.0)
        record = Recorder()
        bus.attach_many("r", (("s", "start"), ("s", "stop")), record)
        with bus.span(("s",), {"k": 1}) as span:
            clock.advance(2.5)
            span.measurements["bytes"] = 7
            span.metadata["k"] = 2

        (_, start, started, _), (_, stop, stopped, _) = record.seen
        assert start == {"monotonic_time": 10.0, "system_time": 99.0}
        assert stop == {"duration": 2.5, "monotonic_time": 12.5, "bytes": 7}
        assert (started["k"], stopped["k"]) == (1, 2)
        assert started["span"] is stopped["span"]

    def test_exception(self) -> None:
        """N07: a span that raises emits an exception event and raises on."""
        bus = Bus()
        record = Recorder()
        bus.attach("r", ("s", "exception"), record)
        with pytest.raises(ValueError, match="bug"), bus.span(("s",)):
            raise ValueError("bug")

        (_, measurements, metadata, _) = record.seen[0]
        assert set(measurements) == {"duration", "monotonic_time"}
        assert metadata["kind"] == "ValueError"
        assert metadata["stacktrace"] is not None
