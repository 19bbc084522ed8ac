"""A child that listens: attached for as long as it lives, and detached whatever ends it."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

from dspex.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from supervision.telemetry import Bus, EventName

__all__ = ("Handlers", "listening", "require", "stay")

Handlers = dict["EventName", "Callable[[Mapping[str, object], Mapping[str, object]], None]"]
"""What to do on each event, given its measurements and metadata."""


@contextmanager
def listening(bus: Bus, handlers: Handlers) -> Generator[None, None, None]:
    """Call the handlers during the block. One that raises detaches them all, as on any bus."""

    def handle(
        event: EventName,
        measurements: Mapping[str, object],
        metadata: Mapping[str, object],
        _config: object,
    ) -> None:
        handlers[event](measurements, metadata)

    listener = object()
    bus.attach_many(listener, handlers, handle)
    try:
        yield
    finally:
        with suppress(LookupError):  # the bus has let go of it already if it raised
            bus.detach(listener)


async def stay() -> None:
    """Do nothing until cancelled."""
    await asyncio.Event().wait()


def require(library: str, *, extra: str, key: str) -> None:
    """Raise ConfigError if an optional library is missing."""
    try:
        there = find_spec(library) is not None
    except ModuleNotFoundError:  # of its parent package
        there = False

    if not there:
        raise ConfigError(
            f"needs a library that is not installed: pip install 'dspex[{extra}]'",
            source="settings",
            key=key,
            value=True,
        )
