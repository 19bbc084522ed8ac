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

from dspex.effects import current
from dspex.errors import ConfigError
from dspex.telemetry.events import (
    BREAKER_STATE,
    BUDGET_REFUSED,
    CACHE_FAULT,
    EVALUATE_START,
    EVALUATE_STOP,
    LIMITER_PAUSE,
    LM_EXCEPTION,
    LM_RETRY,
    OPTIMIZE_START,
    OPTIMIZE_STOP,
    REPAIR,
    SETTINGS_CHANGED,
)
from dspex.telemetry.sink import LineLogger, LogSink
from supervision.telemetry import HANDLER_FAILURE, Bus, EventName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping
    from pathlib import Path

__all__ = ("add_correlation_id", "build_logger", "log_child", "log_exporter")

_LEVELS: Final[Mapping[EventName, int]] = {
    LM_RETRY: logging.DEBUG,
    REPAIR: logging.DEBUG,
    LM_EXCEPTION: logging.INFO,
    EVALUATE_START: logging.INFO,
    EVALUATE_STOP: logging.INFO,
    OPTIMIZE_START: logging.INFO,
    OPTIMIZE_STOP: logging.INFO,
    BREAKER_STATE: logging.WARNING,
    CACHE_FAULT: logging.WARNING,
    LIMITER_PAUSE: logging.WARNING,
    BUDGET_REFUSED: logging.INFO,
    SETTINGS_CHANGED: logging.INFO,
    HANDLER_FAILURE: logging.ERROR,
}

_OBJECTS: Final = frozenset({"span", "request", "response"})
"""What is only there for exporters: they may hold a prompt."""

_CLOSE_S: Final = 1.0

_TAKEN: Final = frozenset({"event", "level"})
"""Names that the logger's own call has; a field of that name is written with "about_" before it."""


def build_logger(
    style: Literal["console", "json"] = "console",
    level: str = "warning",
    stream: TextIO | LogSink | None = None,
) -> Any:
    """Return a structlog logger that writes to `stream`, by default standard error."""
    renderer = (
        structlog.processors.JSONRenderer(serializer=_dumps)
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
    )
    return structlog.wrap_logger(
        LineLogger(stream)
        if isinstance(stream, LogSink)
        else structlog.PrintLogger(stream or sys.stderr),
        processors=[
            structlog.contextvars.merge_contextvars,
            add_correlation_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        cache_logger_on_first_use=True,
    )


def add_correlation_id(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Add the running call's correlation id to a line that has none: a structlog processor."""
    if event.get("correlation_id") is None:
        correlation_id = current().correlation_id
        if correlation_id is not None:
            event["correlation_id"] = correlation_id

    return event


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


def _dumps(value: object, default: Callable[[object], object], **_: object) -> str:
    try:
        return orjson.dumps(value, default=lambda other: str(default(other))).decode()
    except orjson.JSONEncodeError:
        # Half a surrogate pair in an error's text must not cost the log.
        return json.dumps(value, default=str)


async def log_child(
    bus: Bus,
    style: Literal["console", "json"],
    level: str,
    path: Path | None = None,
    *,
    ready: Callable[[object], None],
) -> None:
    """Write events for as long as the child lives, to a file or standard error, by a thread.

    Raises:
        ConfigError: the file cannot be opened.
    """
    sink = _open(path)
    try:
        await log_exporter(bus, build_logger(style, level, sink), level, ready=ready)
    finally:
        await asyncio.to_thread(sink.close, _CLOSE_S)


def _open(path: Path | None) -> LogSink:
    try:
        return LogSink(path)
    except OSError as exc:
        raise ConfigError(
            f"cannot be written to: {exc.strerror or exc}",
            source="settings",
            key="telemetry.log_path",
            value=str(path),
        ) from exc


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
        shown = {
            f"about_{key}" if key in _TAKEN else key: _show(value)
            for key, value in fields
            if key not in _OBJECTS
        }
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
