"""Actors and supervised services of other libraries; runs in an environment of its own.

Prints one line of JSON: for pykka what a call takes, for mode what it takes to start a child and to
have a new one after a crash. All in microseconds of wall time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from importlib.metadata import version
from typing import Any

import mode  # type: ignore[import-not-found]  # in the peers' environment only
import pykka  # type: ignore[import-not-found]  # likewise

_ROUNDS = 5
_CRASHES = 3


class Echo(pykka.ThreadingActor):  # type: ignore[misc]  # known in its environment
    """Answers with what it was asked."""

    def on_receive(self, message: int) -> int:
        """Handle one message."""
        return message


class Child(mode.Service):  # type: ignore[misc]  # known in its environment
    """Does nothing until it is stopped."""


def call_by_pykka(calls: int) -> list[float]:
    """Return what one call took, in each round."""
    ref = Echo.start()
    try:
        return [_round(ref, calls) for _ in range(_ROUNDS)]
    finally:
        ref.stop()


def _round(ref: Any, calls: int) -> float:
    began = time.perf_counter()
    for number in range(calls):
        ref.ask(number)

    return (time.perf_counter() - began) / calls * 1e6


async def start_by_mode(children: int) -> list[float]:
    """Return what starting one child under a supervisor took, in each round."""
    return [await _start(children) for _ in range(_ROUNDS)]


async def _start(children: int) -> float:
    supervisor = mode.OneForOneSupervisor(*(Child() for _ in range(children)))
    began = time.perf_counter()
    await supervisor.start()
    took = (time.perf_counter() - began) / children * 1e6
    await supervisor.stop()
    return took


async def restart_by_mode() -> list[float]:
    """Return how long each crash of a child was without a restart."""
    child = Child()
    supervisor = mode.OneForOneSupervisor(child, max_restarts=1_000.0, over=1.0)
    await supervisor.start()
    took: list[float] = []
    for _ in range(_CRASHES):
        await asyncio.sleep(0.1)
        count = child.restart_count
        began = time.perf_counter()
        await child.crash(RuntimeError("crashed on purpose"))
        while child.restart_count == count or not child.started:  # noqa: ASYNC110 - has no event
            await asyncio.sleep(0.001)

        took.append((time.perf_counter() - began) * 1e6)

    await supervisor.stop()
    return took


def main(calls: str, children: str) -> None:
    """Measure."""
    logging.disable()
    said = {
        "pykka": {"version": version("pykka"), "call_us": call_by_pykka(int(calls))},
        "mode": {
            "version": version("mode-streaming"),
            "start_us": asyncio.run(start_by_mode(int(children))),
            "restart_us": asyncio.run(restart_by_mode()),
        },
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
