"""Ordered traces: the program's order, whatever finished first."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, strategies as st

from dspex import effects
from dspex.effects import TraceEntry
from dspex.optimizers.trace import OrderedTrace


def record(trace: OrderedTrace, *path: str) -> None:
    """Finish a call at a place; its inputs say where."""
    with effects.scope(path=path):
        trace.record(TraceEntry(None, {"path": path}, None))


def places(trace: OrderedTrace) -> list[Any]:
    """Return where the entries come from, in their order."""
    return [entry.inputs["path"] for entry in trace.entries]


@given(st.randoms(use_true_random=False))
def test_branches_come_by_number(random_: random.Random) -> None:
    """The branches of a fan-out stand in their order, and what follows them stays behind."""
    branches = [("run", "map", str(number), "vote") for number in range(12)]
    finished = random_.sample(branches, len(branches))
    trace = OrderedTrace()
    record(trace, "run", "zeal")
    for path in finished:
        record(trace, *path)

    record(trace, "run", "answer")

    assert places(trace) == [("run", "zeal"), *branches, ("run", "answer")]


def test_calls_in_turn_keep_their_turn() -> None:
    """Names do not sort: what came first in a scope stays first."""
    trace = OrderedTrace()
    paths = [("z",), ("a",), ("z#1",), ("m", "b"), ("m", "a"), ("b",)]
    for path in paths:
        record(trace, *path)

    assert places(trace) == paths


def test_a_full_trace_lets_the_first_go() -> None:
    """It is bounded as any trace, and counts what it dropped."""
    trace = OrderedTrace(limit=2)
    for number in (2, 0, 1):
        record(trace, "map", str(number))

    assert places(trace) == [("map", "1"), ("map", "2")]
    assert trace.dropped == 1
