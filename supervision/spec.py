"""What a supervisor is told: the spec of each child and the flags of the supervisor itself."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from supervision.errors import InvalidSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = (
    "BRUTAL_KILL",
    "AutoShutdown",
    "Backoff",
    "BrutalKill",
    "ChildSpec",
    "ChildType",
    "Flags",
    "Name",
    "Restart",
    "Strategy",
    "check_childspecs",
    "check_spec",
    "check_static",
)


class Restart(StrEnum):
    """When a child that ended is started again."""

    PERMANENT = "permanent"
    """Always."""
    TRANSIENT = "transient"
    """Only after an abnormal end."""
    TEMPORARY = "temporary"
    """Never; its spec goes with it."""


class Strategy(StrEnum):
    """Who is restarted together with a child that ended."""

    ONE_FOR_ONE = "one_for_one"
    """Nobody else."""
    ONE_FOR_ALL = "one_for_all"
    """Everybody."""
    REST_FOR_ONE = "rest_for_one"
    """Those started after it."""


class AutoShutdown(StrEnum):
    """Whether the end of significant children ends the supervisor."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


class BrutalKill(Enum):
    """The type of `BRUTAL_KILL`."""

    BRUTAL_KILL = "brutal_kill"


BRUTAL_KILL: Final = BrutalKill.BRUTAL_KILL
"""As `shutdown`: cancel without grace."""

ChildType: TypeAlias = Literal["worker", "supervisor"]


class Name(Protocol):
    """A name a child holds while it lives, such as `registry.via("cache")`."""

    def claim(self, owner: object) -> None:
        """Take the name for `owner`, or raise AlreadyStarted."""
        ...

    def release(self, owner: object) -> None:
        """Give the name back if `owner` holds it."""
        ...


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a child waits before each restart (not in OTP).

    The n-th restart in a row waits `min * factor ** (n - 1)` seconds, at most `max`, less a
    random share of up to `jitter` (0 to 1) of it. A life of at least `reset_after` seconds starts
    the row anew; the default is `max`.
    """

    min: float = 0.1
    max: float = 30.0
    _: KW_ONLY
    factor: float = 2.0
    jitter: float = 0.0
    reset_after: float | None = None

    def delay(self, attempt: int, random: float) -> float:
        """Return the wait before the `attempt`-th restart in a row; `random` is in [0, 1)."""
        # The exponent is capped since a float power overflows long after `max` is reached.
        grown = self.min * self.factor ** min(attempt - 1, 64)
        return min(self.max, grown) * (1 - self.jitter * random)

    def forgets(self, lifetime: float) -> bool:
        """Tell whether a life of `lifetime` seconds ends a row of restarts."""
        return lifetime >= (self.max if self.reset_after is None else self.reset_after)


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start, restart and stop one child.

    `start` is called with `args` and `kwargs` inside the child's task and is one of: a coroutine
    function (up at once, or when it calls the `ready` it asks for as a parameter of that name), a
    function that returns an async context manager (up when entered), an Actor class, or
    `Supervisor.child(...)` and its like. `shutdown` is the time in seconds a child has to stop
    (default 5 for workers, unlimited for supervisors), `start_timeout` the time it has to come
    up. `name` is held while the child lives. Checked by the supervisor that gets it.
    """

    id: object
    start: Callable[..., object]
    _: KW_ONLY
    args: tuple[object, ...] = ()
    kwargs: Mapping[str, object] = field(default_factory=dict[str, object])
    restart: Restart = Restart.PERMANENT
    shutdown: float | BrutalKill | None = None
    type: ChildType | None = None
    significant: bool = False
    backoff: Backoff | None = None
    start_timeout: float = math.inf
    name: Name | None = None

    def filled(self) -> ChildSpec:
        """Return the spec with the defaults that depend on the kind of child filled in."""
        return dataclasses.replace(self, type=self.kind, shutdown=self.grace)

    @property
    def kind(self) -> ChildType:
        """The type, or what follows from `start`."""
        return self.type or _kind_of(self.start)

    @property
    def grace(self) -> float | BrutalKill:
        """The time to stop, or what follows from the kind."""
        if self.shutdown is not None:
            return self.shutdown

        return 5.0 if self.kind == "worker" else math.inf


@dataclass(frozen=True, slots=True)
class Flags:
    """How a supervisor treats its children; the intensity defaults are Elixir's."""

    strategy: Strategy = Strategy.ONE_FOR_ONE
    _: KW_ONLY
    intensity: int = 3
    period: float = 5.0
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER

    def check(self) -> None:
        """Raise InvalidSpec if a flag is wrong."""
        _check_member("invalid_strategy", "strategy", self.strategy, Strategy)
        _check_member("invalid_auto_shutdown", "auto_shutdown", self.auto_shutdown, AutoShutdown)
        if not _is_int(self.intensity) or self.intensity < 0:
            raise InvalidSpec(
                "invalid_intensity", "intensity", self.intensity, "use an int of 0 or more"
            )

        if not _is_number(self.period) or not 0 < self.period < math.inf:
            raise InvalidSpec(
                "invalid_period", "period", self.period, "use seconds, more than 0 and finite"
            )


def check_childspecs(
    specs: Iterable[ChildSpec], auto_shutdown: AutoShutdown = AutoShutdown.NEVER
) -> None:
    """Raise InvalidSpec for the first spec that a supervisor would refuse.

    Covers each spec on its own, the uniqueness of ids, and what `auto_shutdown` demands.
    """
    seen: set[object] = set()
    for spec in specs:
        check_static(spec, auto_shutdown)
        if spec.id in seen:
            raise InvalidSpec(
                "duplicate_child_name", "id", spec.id, "give each child its own id", child=spec.id
            )

        seen.add(spec.id)


def check_static(spec: ChildSpec, auto_shutdown: AutoShutdown) -> None:
    """Raise InvalidSpec if `spec` is wrong for a supervisor with static children."""
    if spec.id is None:
        raise InvalidSpec("missing_id", "id", None, "give the child an id", child="?")

    check_spec(spec)
    if spec.significant and auto_shutdown == AutoShutdown.NEVER:
        raise InvalidSpec(
            "bad_combination",
            "significant",
            True,
            "set auto_shutdown on the supervisor or drop it",
            child=spec.id,
        )


def check_spec(spec: ChildSpec) -> None:
    """Raise InvalidSpec if `spec` is wrong in itself."""
    child = "(no id)" if spec.id is None else spec.id
    if not callable(spec.start):
        raise InvalidSpec(
            "missing_start", "start", spec.start, "give a callable to start it", child=child
        )

    _check_member("invalid_restart_type", "restart", spec.restart, Restart, child)
    if spec.type not in (None, "worker", "supervisor"):
        raise InvalidSpec(
            "invalid_child_type", "type", spec.type, "use 'worker' or 'supervisor'", child=child
        )

    _check_shutdown(spec, child)
    if not _is_number(spec.start_timeout) or spec.start_timeout <= 0:
        raise InvalidSpec(
            "invalid_start_timeout",
            "start_timeout",
            spec.start_timeout,
            "use seconds, more than 0",
            child=child,
        )

    if spec.significant is not False:
        _check_significant(spec, child)

    if spec.backoff is not None:
        _check_backoff(spec.backoff, child)


def _check_shutdown(spec: ChildSpec, child: object) -> None:
    shutdown = spec.shutdown
    if shutdown is None or shutdown is BRUTAL_KILL:
        return

    if not _is_number(shutdown) or not shutdown >= 0:
        raise InvalidSpec(
            "invalid_shutdown",
            "shutdown",
            shutdown,
            "use seconds of 0 or more, math.inf or BRUTAL_KILL",
            child=child,
        )


def _check_significant(spec: ChildSpec, child: object) -> None:
    if spec.significant is not True:
        raise InvalidSpec(
            "invalid_significant", "significant", spec.significant, "use a bool", child=child
        )

    if spec.restart == Restart.PERMANENT:
        raise InvalidSpec(
            "bad_combination",
            "significant",
            True,
            "a permanent child never ends for good: use transient or temporary",
            child=child,
        )


def _check_backoff(backoff: Backoff, child: object) -> None:
    sane = 0 <= backoff.min <= backoff.max < math.inf
    if not (sane and backoff.factor >= 1 and 0 <= backoff.jitter <= 1):
        raise InvalidSpec(
            "invalid_backoff",
            "backoff",
            backoff,
            "need 0 <= min <= max < inf, factor >= 1 and 0 <= jitter <= 1",
            child=child,
        )


def _check_member(
    code: str, name: str, value: object, kind: type[StrEnum], child: object = None
) -> None:
    if not isinstance(value, kind) and value not in list(kind):
        choices = ", ".join(repr(member.value) for member in kind)
        raise InvalidSpec(code, name, value, f"use one of {choices}", child=child)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind_of(start: Callable[..., object]) -> ChildType:
    return "supervisor" if getattr(start, "child_type", "worker") == "supervisor" else "worker"
