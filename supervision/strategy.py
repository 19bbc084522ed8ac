"""What a supervisor does when a child ends, decided without doing it.

`plan` maps the table of children and one event to the actions that follow, in the order in which
they are to be done. It reads no clock and keeps no state, so that a log of events can be replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias, assert_never

from supervision.reasons import Escalate, Killed, Reason, Shutdown
from supervision.spec import BRUTAL_KILL, AutoShutdown, BrutalKill, Restart, Strategy

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = (
    "Action",
    "Attempt",
    "ChildView",
    "Event",
    "Exited",
    "Halt",
    "Remove",
    "Retry",
    "Start",
    "State",
    "Stop",
    "is_reported",
    "is_shutdown_error",
    "needs_restart",
    "plan",
)


class State(StrEnum):
    """Where a child of a supervisor stands."""

    UNDEFINED = "undefined"
    """Not running, and nobody is about to change that."""
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    """Not running, a restart attempt is due."""
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class ChildView:
    """What the planner needs to know of a child."""

    id: object
    restart: Restart
    state: State
    significant: bool = False


@dataclass(frozen=True, slots=True)
class Exited:
    """A child ended by itself."""

    id: object
    reason: Reason


@dataclass(frozen=True, slots=True)
class Retry:
    """The time for a restart attempt of a child has come."""

    id: object
    counted: bool = False
    """Whether the attempt is already in the window of restarts."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Count one restart attempt; give up here if it is one too many."""

    id: object


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop these children, one after another."""

    ids: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Remove:
    """Forget these children."""

    ids: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """Start these children, one after another; the attempt is about `cause`."""

    ids: tuple[object, ...]
    cause: object


@dataclass(frozen=True, slots=True)
class Halt:
    """End the supervisor with a reason."""

    reason: Reason


Event: TypeAlias = Exited | Retry
Action: TypeAlias = Attempt | Stop | Remove | Start | Halt


def needs_restart(restart: Restart, reason: Reason) -> bool:
    """Tell whether a child that ended with `reason` is started again."""
    match restart:
        case Restart.PERMANENT:
            return True
        case Restart.TRANSIENT:
            return not reason.is_normal
        case Restart.TEMPORARY:
            return False
        case _:
            assert_never(restart)


def is_reported(restart: Restart, reason: Reason) -> bool:
    """Tell whether the end of a child is an error to report."""
    return restart == Restart.PERMANENT or not reason.is_normal


def is_shutdown_error(
    restart: Restart, shutdown: float | BrutalKill | None, reason: Reason
) -> bool:
    """Tell whether a child that was told to stop ended in a way to report."""
    if isinstance(reason, Killed):
        return shutdown is not BRUTAL_KILL

    if reason == Shutdown():
        return False

    return is_reported(restart, reason)


def plan(
    strategy: Strategy,
    auto_shutdown: AutoShutdown,
    children: Sequence[ChildView],
    event: Event,
) -> tuple[Action, ...]:
    """Return what to do about `event`, in order. Cost: O(number of children)."""
    child = next(child for child in children if child.id == event.id)
    if isinstance(event, Retry):
        attempt = () if event.counted else (Attempt(child.id),)
        return (*attempt, *_restart(strategy, children, child))

    if isinstance(event.reason, Escalate):
        return (Halt(event.reason),)

    if needs_restart(child.restart, event.reason):
        return (Attempt(child.id), *_restart(strategy, children, child))

    gone = (Remove((child.id,)),) if child.restart == Restart.TEMPORARY else ()
    if _ends_supervisor(auto_shutdown, children, child):
        return (*gone, Halt(Shutdown()))

    return gone


def _restart(
    strategy: Strategy, children: Sequence[ChildView], child: ChildView
) -> tuple[Action, ...]:
    group = _group(strategy, children, child)
    siblings = [other for other in group if other.id != child.id]
    running = tuple(o.id for o in reversed(siblings) if o.state == State.RUNNING)
    temporary = tuple(o.id for o in siblings if o.restart == Restart.TEMPORARY)
    again = tuple(o.id for o in group if o.id not in temporary)

    actions: list[Action] = []
    if running:
        actions.append(Stop(running))

    if temporary:
        actions.append(Remove(temporary))

    actions.append(Start(again, child.id))
    return tuple(actions)


def _group(
    strategy: Strategy, children: Sequence[ChildView], child: ChildView
) -> Sequence[ChildView]:
    match strategy:
        case Strategy.ONE_FOR_ONE:
            return (child,)
        case Strategy.ONE_FOR_ALL:
            return children
        case Strategy.REST_FOR_ONE:
            return children[children.index(child) :]
        case _:
            assert_never(strategy)


def _ends_supervisor(
    auto_shutdown: AutoShutdown, children: Sequence[ChildView], child: ChildView
) -> bool:
    if not child.significant or auto_shutdown == AutoShutdown.NEVER:
        return False

    if auto_shutdown == AutoShutdown.ANY_SIGNIFICANT:
        return True

    return not any(
        other.significant and other.id != child.id and other.state != State.UNDEFINED
        for other in children
    )
