"""Events as log lines, through structlog: what an operator must see, and nothing per call.

The logger is built here and owned by the child; structlog's global configuration is left to the
application that embeds us. No event carries a prompt or an answer; the text of an error may quote
the beginning of what could not be read.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

import orjson
import structlog

from dspex.telemetry.events import (
    BREAKER_STATE,
    EVALUATE_START,
    EVALUATE_STOP,
    LM_EXCEPTION,
    LM_RETRY,
    OPTIMIZE_START,
    OPTIMIZE_STOP,
    REPAIR,
)
from supervision.telemetry import HANDLER_FAILURE, Bus, EventName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ("build_logger", "log_exporter")

_LEVELS: Final[Mapping[EventName, int]] = {
    LM_RETRY: logging.DEBUG,
    REPAIR: logging.DEBUG,
    LM_EXCEPTION: logging.INFO,
    EVALUATE_START: logging.INFO,
    EVALUATE_STOP: logging.INFO,
    OPTIMIZE_START: logging.INFO,
    OPTIMIZE_STOP: logging.INFO,
    BREAKER_STATE: logging.WARNING,
    HANDLER_FAILURE: logging.ERROR,
}

_TAKEN: Final = frozenset({"event", "level"})
"""Names that the logger's own call has; a field of that name is written with "about_" before it."""


def build_logger(
    style: Literal["console", "json"] = "console",
    level: str = "warning",
    stream: TextIO | None = None,
) -> Any:
    """Return a structlog logger that writes to `stream`, by default standard error."""
    renderer = (
        structlog.processors.JSONRenderer(serializer=_dumps)
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
    )
    return structlog.wrap_logger(
        structlog.PrintLogger(stream or sys.stderr),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        cache_logger_on_first_use=True,
    )


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


def _dumps(value: object, default: Callable[[object], object], **_: object) -> str:
    try:
        return orjson.dumps(value, default=lambda other: str(default(other))).decode()
    except orjson.JSONEncodeError:
        # Half a surrogate pair in an error's text must not cost the log.
        return json.dumps(value, default=str)


async def log_exporter(
    bus: Bus, logger: Any, level: str = "warning", *, ready: Callable[[object], None]
) -> None:
    """Write events to `logger` for as long as the child lives.

    Only events that `level` lets through are listened to, so that a quiet log costs nothing.
    """
    threshold = _number(level)
    events = [name for name, number in _LEVELS.items() if number >= threshold]

    def write(
        event: EventName,
        measurements: Mapping[str, object],
        metadata: Mapping[str, object],
        _config: object,
    ) -> None:
        fields = (*measurements.items(), *metadata.items())
        shown = {f"about_{key}" if key in _TAKEN else key: _show(value) for key, value in fields}
        logger.log(_LEVELS[event], ".".join(event), **shown)

    listener = object()
    bus.attach_many(listener, events, write)
    try:
        ready(logger)
        await asyncio.Event().wait()
    finally:
        with suppress(LookupError):  # the bus has let go of it already if it raised
            bus.detach(listener)


def _show(value: object) -> object:
    if isinstance(value, float):
        return round(value, 4)

    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"

    return value if isinstance(value, (str, int, bool, type(None))) else str(value)
