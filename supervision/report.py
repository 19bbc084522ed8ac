"""What a supervisor says about its children: reports to `logging`, events to the bus.

Each report goes to the logger "supervision" with its fields in `extra` (`supervisor`,
`error_context`, `reason`, `offender`), and to the bus as the event of the same meaning. The fields
are OTP's. Normal ends of transient and temporary children are silent.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from supervision.reasons import Crash, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from supervision.telemetry import Bus, EventName

__all__ = (
    "CHILD_STARTED",
    "CHILD_TERMINATED",
    "LOGGER_NAME",
    "ORPHANS",
    "RESTARTS_EXCEEDED",
    "SHUTDOWN_ERROR",
    "START_ERROR",
    "ZOMBIE",
    "Offender",
    "Reporter",
    "Subject",
)

LOGGER_NAME: Final = "supervision"

CHILD_STARTED: Final[EventName] = ("supervisor", "child", "started")
CHILD_TERMINATED: Final[EventName] = ("supervisor", "child", "terminated")
START_ERROR: Final[EventName] = ("supervisor", "child", "start_error")
SHUTDOWN_ERROR: Final[EventName] = ("supervisor", "child", "shutdown_error")
ORPHANS: Final[EventName] = ("supervisor", "child", "orphans")
ZOMBIE: Final[EventName] = ("supervisor", "child", "zombie")
RESTARTS_EXCEEDED: Final[EventName] = ("supervisor", "restarts", "exceeded")


@dataclass(frozen=True, slots=True)
class Offender:
    """The child a report is about."""

    id: object
    pid: int | None
    start: str
    restart_type: str
    child_type: str
    shutdown: object
    significant: bool
    generation: int


class Subject(Protocol):
    """Whatever a report can be about."""

    def offender(self) -> Offender:
        """Return what the report says of it."""
        ...


class Reporter:
    """Write reports; nothing is built for a level or an event that nobody listens to."""

    __slots__ = ("_bus", "_logger")

    def __init__(self, bus: Bus, logger: logging.Logger | None = None) -> None:
        self._bus = bus
        self._logger = logging.getLogger(LOGGER_NAME) if logger is None else logger

    def progress(self, supervisor: str, subject: Subject) -> None:
        """Report that a child is up."""
        self._emit(CHILD_STARTED, logging.INFO, supervisor, subject, None, "is up")

    def terminated(self, supervisor: str, subject: Subject, reason: Reason) -> None:
        """Report that a child ended by itself, in a way that is an error for its restart type."""
        self._emit(CHILD_TERMINATED, logging.ERROR, supervisor, subject, reason, "ended")

    def start_error(self, supervisor: str, subject: Subject, reason: Reason) -> None:
        """Report that a child did not come up."""
        self._emit(START_ERROR, logging.ERROR, supervisor, subject, reason, "failed to start")

    def shutdown_error(self, supervisor: str, subject: Subject, reason: Reason) -> None:
        """Report that a child did not stop as it should."""
        self._emit(SHUTDOWN_ERROR, logging.ERROR, supervisor, subject, reason, "stopped badly")

    def zombie(self, supervisor: str, subject: Subject, reason: Reason) -> None:
        """Report that a child refuses to end and was given up."""
        self._emit(ZOMBIE, logging.ERROR, supervisor, subject, reason, "refuses to end")

    def orphans(self, supervisor: str, subject: Subject, tasks: Sequence[object]) -> None:
        """Report that a child left tasks behind; only looked for in the loop's debug mode."""
        text = f"left {len(tasks)} tasks behind, use spawn() for them: {tasks!r}"
        self._emit(ORPHANS, logging.WARNING, supervisor, subject, None, text.replace("%", "%%"))

    def exceeded(self, supervisor: str, subject: Subject, reason: Reason) -> None:
        """Report that the supervisor gives up because of this child."""
        text = "was restarted too often, giving up"
        self._emit(RESTARTS_EXCEEDED, logging.ERROR, supervisor, subject, reason, text)

    def _emit(
        self,
        event: EventName,
        level: int,
        supervisor: str,
        subject: Subject,
        reason: Reason | None,
        what: str,
    ) -> None:
        if event in self._bus.listeners:
            offender = subject.offender()
            metadata = {"supervisor": supervisor, "offender": offender, "reason": reason}
            self._bus.execute(event, {"generation": offender.generation}, metadata)

        if self._logger.isEnabledFor(level):
            self._log(event, level, supervisor, subject.offender(), reason, what)

    def _log(
        self,
        event: EventName,
        level: int,
        supervisor: str,
        offender: Offender,
        reason: Reason | None,
        what: str,
    ) -> None:
        extra: Mapping[str, object] = {
            "supervisor": supervisor,
            "error_context": event[-1],
            "reason": reason,
            "offender": offender,
        }
        text = f"child %r of %r {what}"
        args: tuple[object, ...] = (offender.id, supervisor)
        if reason is not None:
            text += ": %s"
            args = (*args, reason)

        exc = reason.exc if isinstance(reason, Crash) else None
        self._logger.log(level, text, *args, extra=extra, exc_info=exc)
