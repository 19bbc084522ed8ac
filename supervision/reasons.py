"""Why a process ended, as a value, and the one function that finds out.

A reason decides whether a transient child is restarted (`is_normal`), what is reported, and what
a caller is told. `Stop` and `Ignore` are how a process states its reason itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias, cast

from supervision.errors import NoProc

__all__ = (
    "SHUTDOWN",
    "Crash",
    "Escalate",
    "Ignore",
    "Killed",
    "Normal",
    "Reason",
    "Shutdown",
    "Stop",
    "TimedOut",
    "cause_of",
    "classify",
)


@dataclass(frozen=True, slots=True)
class Normal:
    """The process returned: its work is done."""

    is_normal: ClassVar[bool] = True

    def __str__(self) -> str:
        return "normal"


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The process was asked to stop and did, or stopped in good order with a detail to tell."""

    detail: object = None
    is_normal: ClassVar[bool] = True

    def __str__(self) -> str:
        return "shutdown" if self.detail is None else f"shutdown: {self.detail}"


@dataclass(frozen=True, slots=True)
class Killed:
    """The process was cancelled: by its supervisor without grace, or by a stranger."""

    is_normal: ClassVar[bool] = False

    def __str__(self) -> str:
        return "killed"


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The process was ended because it took longer than `timeout` seconds."""

    timeout: float
    is_normal: ClassVar[bool] = False

    def __str__(self) -> str:
        return f"timed out after {self.timeout:g} s"


@dataclass(frozen=True, slots=True)
class Crash:
    """The process raised `exc`, which keeps its traceback."""

    exc: BaseException
    is_normal: ClassVar[bool] = False

    def __str__(self) -> str:
        return f"{type(self.exc).__name__}: {self.exc}"


@dataclass(frozen=True, slots=True)
class Escalate:
    """The process asked the whole program to end: SystemExit or KeyboardInterrupt."""

    exc: BaseException
    is_normal: ClassVar[bool] = False

    def __str__(self) -> str:
        return f"{type(self.exc).__name__}: {self.exc}"


Reason: TypeAlias = Normal | Shutdown | Killed | TimedOut | Crash | Escalate | NoProc


SHUTDOWN: Final = Shutdown()
"""The plain one: most ends are, and it need not be made for each."""


class Stop(Exception):
    """Raise in a process to end it with a reason of your choice."""

    def __init__(self, reason: Reason | None = None) -> None:
        self.reason: Reason = Shutdown() if reason is None else reason
        super().__init__(str(self.reason))


class Ignore(Exception):
    """Raise in a process before it is ready: it does not want to run, and that is no failure."""


def classify(exc: BaseException, *, stop_requested: bool) -> Reason:
    """Turn what a process raised into its exit reason.

    `stop_requested` tells a cancellation by its supervisor from any other: the number of
    cancellations a task has seen does not, since the task may raise CancelledError itself.
    """
    match exc:
        case Stop():
            return exc.reason
        case SystemExit() | KeyboardInterrupt():
            return Escalate(exc)
        case asyncio.CancelledError():
            return SHUTDOWN if stop_requested else Killed()
        case BaseExceptionGroup():
            return _classify_group(exc, stop_requested=stop_requested)
        case _:
            return Crash(exc)


def cause_of(reason: Reason) -> BaseException | None:
    """Return the exception behind a reason, as the `__cause__` of an error about it."""
    match reason:
        case Crash(exc) | Escalate(exc):
            return exc
        case Shutdown(BaseException() as detail):
            return detail
        case _:
            return None


def _classify_group(
    group: BaseExceptionGroup[BaseException], *, stop_requested: bool
) -> Crash | Escalate | Shutdown:
    escalating, _ = group.split((SystemExit, KeyboardInterrupt))
    if escalating is not None:
        return Escalate(_first_leaf(escalating))

    _, others = group.split(asyncio.CancelledError)
    if others is None and stop_requested:
        return SHUTDOWN

    return Crash(group)


def _first_leaf(exc: BaseException) -> BaseException:
    while isinstance(exc, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", exc)
        exc = group.exceptions[0]

    return exc
