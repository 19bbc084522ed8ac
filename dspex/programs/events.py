"""The events of a program's call, for whoever listens on the runtime's bus."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dspex.effects import CallScope, find_runtime, new_correlation_id
from dspex.errors import RuntimeNotFound
from dspex.telemetry.events import (
    PARSE,
    PROGRAM_EXCEPTION,
    PROGRAM_START,
    PROGRAM_STOP,
    REPAIR,
)

if TYPE_CHECKING:
    from types import TracebackType

    from supervision.telemetry import Bus

__all__ = ("Watch", "announce_parse", "announce_repair", "inherited")


def inherited(outer: CallScope) -> dict[str, Any]:
    """Return what an outermost call adds to its scope: a correlation id, and the runtime found."""
    if outer.correlation_id is not None and (outer.runtime or outer.owner) is not None:
        return {}

    added: dict[str, Any] = {}
    if outer.correlation_id is None:
        added["correlation_id"] = new_correlation_id()

    if outer.runtime is None:
        with suppress(RuntimeNotFound):  # a program with a client of its own needs none
            added["runtime"] = find_runtime()

    return added


class Watch:
    """A context in which one call runs that somebody listens to."""

    __slots__ = ("_began", "_bus", "_metadata")

    def __init__(self, bus: Bus, metadata: dict[str, object]) -> None:
        self._bus = bus
        self._metadata = metadata
        self._began = asyncio.get_running_loop().time()

    @classmethod
    def start(cls, here: CallScope, program: object) -> Watch | None:
        """Return the context for a call; None if nobody listens."""
        if here.runtime is None:
            return None

        listeners = here.runtime.bus.listeners
        if not (
            PROGRAM_STOP in listeners
            or PROGRAM_START in listeners
            or PROGRAM_EXCEPTION in listeners
        ):
            return None

        watch = cls(here.runtime.bus, _metadata(here, program))
        watch._metadata["span"] = watch
        return watch

    def __enter__(self) -> None:
        self._bus.execute(PROGRAM_START, {}, self._metadata)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        took = {"duration_s": asyncio.get_running_loop().time() - self._began}
        if error is None:
            self._bus.execute(PROGRAM_STOP, took, self._metadata)
        else:
            self._bus.execute(PROGRAM_EXCEPTION, took, {**self._metadata, "error": error})


def announce_parse(here: CallScope, program: object, repairs: int) -> None:
    """Announce that the fields of an answer were read, after so many repairs."""
    if here.runtime is not None and PARSE in here.runtime.bus.listeners:
        here.runtime.bus.execute(PARSE, {"repairs": repairs}, _metadata(here, program))


def announce_repair(here: CallScope, program: object, error: Exception) -> None:
    """Announce that a model is shown why its answer could not be read."""
    if here.runtime is not None and REPAIR in here.runtime.bus.listeners:
        about = {**_metadata(here, program), "error": error}
        here.runtime.bus.execute(REPAIR, {}, about)


def _metadata(here: CallScope, program: object) -> dict[str, object]:
    return {
        "program": type(program).__name__,
        "path": here.path,
        "correlation_id": here.correlation_id,
    }
