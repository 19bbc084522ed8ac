"""The scope of a running call: where it stands, and what it may use."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self

from dspex.effects.gate import LIVE, Gate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from dspex.usage import Usage, UsageMeter
    from supervision.task import TaskSupervisor
    from supervision.telemetry import Bus

__all__ = (
    "BudgetLease",
    "BudgetSource",
    "CallScope",
    "Ordinals",
    "ResultCache",
    "RuntimeHandle",
    "Trace",
    "TraceEntry",
    "current",
    "enter",
    "scope",
)


class ResultCache(Protocol):
    """Keeps results that are JSON, in memory and perhaps on disk; losing them costs only time."""

    async def get_json(self, namespace: str, key: str, default: Any = None) -> Any:
        """Return what is kept under `key`, a digest of all it depends on, else `default`."""
        ...

    def put_json(self, namespace: str, key: str, value: Any) -> None:
        """Keep a result; raises TypeError if it is no JSON."""
        ...


class RuntimeHandle(Protocol):
    """What a program needs of the Runtime that serves it."""

    @property
    def name(self) -> str:
        """A name for error messages."""
        ...

    @property
    def bus(self) -> Bus:
        """Where the events of calls served by this runtime go."""
        ...

    @property
    def cache(self) -> ResultCache | None:
        """Where results are kept; None while there is no cache: do without."""
        ...

    @property
    def tasks(self) -> TaskSupervisor:
        """Where fan-out runs: tasks that are supervised and end with the runtime."""
        ...

    def client(self, name: str | None = None) -> Any:
        """Return the client for "provider/model", or the default one."""
        ...


class BudgetLease(Protocol):
    """A part of a budget set aside for one call."""

    def settle(self, actual: Usage) -> None:
        """Replace the estimate by what the call used."""
        ...

    def release(self) -> None:
        """Give everything back: the call was not made."""
        ...


class BudgetSource(Protocol):
    """A purse that calls draw from: in this process now, shared by several later."""

    @property
    def limited(self) -> frozenset[str]:
        """What it bounds, purses around it included: of "usd", "tokens", "calls", "wall_s"."""
        ...

    @property
    def deadline(self) -> float | None:
        """When its time is up, on the running loop's clock."""
        ...

    def try_reserve(self, estimate: Usage) -> BudgetLease | None:
        """Set `estimate` aside; None if there may be room once calls under way have settled.

        Raises:
            BudgetExceeded: there will never be room; nothing is set aside.
        """
        ...

    async def acquire(self, estimate: Usage) -> BudgetLease:
        """Set `estimate` aside, waiting in line for room; a cancelled wait holds nothing.

        Raises:
            BudgetExceeded: there will never be room; nothing is set aside.
        """
        ...


class Ordinals:
    """Numbers what happens inside one scope, in program order, by name."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def take(self, name: str) -> int:
        """Return 0 for the first `name`, then 1, 2, ..."""
        ordinal = self._next.get(name, 0)
        self._next[name] = ordinal + 1
        return ordinal


class TraceEntry(NamedTuple):
    """One predictor's call: who was asked, with what inputs, and the prediction it gave."""

    predictor: Any
    inputs: dict[str, Any]
    prediction: Any


class Trace:
    """The calls of predictors below one point, in the order they finished; bounded.

    Iterates like a list of (predictor, inputs, prediction), which is what a metric expects. When
    it is full the oldest entry goes and `dropped` counts it.
    """

    __slots__ = ("_limit", "dropped", "entries")

    def __init__(self, limit: int = 10_000) -> None:
        if limit < 1:
            raise ValueError(f"a trace holds at least one entry, got limit={limit!r}")

        self._limit = limit
        self.entries: list[TraceEntry] = []
        self.dropped = 0

    def __iter__(self) -> Iterator[TraceEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def record(self, entry: TraceEntry) -> None:
        """Append one finished call."""
        if len(self.entries) >= self._limit:
            del self.entries[0]
            self.dropped += 1

        self.entries.append(entry)


class _ScopeFields(NamedTuple):
    path: tuple[str, ...]
    ordinals: Ordinals
    runtime: RuntimeHandle | None
    correlation_id: str | None
    deadline: float | None
    budget: BudgetSource | None
    meter: UsageMeter | None
    user: str
    trace: Trace | None
    sample: int
    owner: Any
    listener: Any
    gate: Gate


class CallScope(_ScopeFields):
    """Where a running call stands and what it may use; immutable, derived with `child`.

    `deadline` is a time of the running loop's clock. `user` is on whose behalf: where an endpoint
    limits single users, this one. `sample` numbers the independent sample that is wanted of
    everything below (an epoch, a round): predictors put it into their requests. `owner` is the
    program whose `forward` runs in this scope: it knows its parts by name. `listener` is the stream
    that hears what happens in it. Empty fields mean "none": no deadline, no budget.

    A tuple underneath, because every example and every program call derives one: that costs a
    microsecond, and five for a frozen dataclass.
    """

    __slots__ = ()

    def __new__(cls, **values: Any) -> Self:
        """Make a scope of its own; what is not given is empty."""
        return cls._of({**_EMPTY_SCOPE, "ordinals": Ordinals(), **values}, values)

    @classmethod
    def _of(cls, fields: dict[str, Any], given: dict[str, Any]) -> Self:
        if len(fields) != len(_SCOPE_FIELDS):
            raise TypeError(f"a scope has no {sorted(given.keys() - _SCOPE_FIELDS.keys())}")

        return cls._make(fields[name] for name in _SCOPE_FIELDS)

    def child(self, name: str, **changes: Any) -> CallScope:
        """Return the scope of the next branch called `name`; a repeated name gets its number.

        `changes` are fields of the scope.
        """
        return self.branch(_element(self, name), **changes)

    def branch(self, element: str, **changes: Any) -> CallScope:
        """Return the scope of a branch whose name is unique here by itself, such as an index.

        Unlike `child` it leaves no mark in this scope: a million branches cost it nothing.
        """
        return self.changed(path=(*self.path, element), ordinals=Ordinals(), **changes)

    def changed(self, **changes: Any) -> CallScope:
        """Return a copy with other fields."""
        return _copy(self, changes)


def _element(place: CallScope, name: str) -> str:
    ordinal = place.ordinals.take(name)
    return f"{name}#{ordinal}" if ordinal else name


def _copy(place: CallScope, changes: dict[str, Any]) -> CallScope:
    values = list(place)
    for name, value in changes.items():
        values[_SCOPE_FIELDS[name]] = value

    return CallScope._make(values)


_SCOPE_FIELDS: Final = {name: index for index, name in enumerate(_ScopeFields._fields)}
_EMPTY_SCOPE: Final = dict.fromkeys(_SCOPE_FIELDS) | {
    "path": (),
    "sample": 0,
    "user": "",
    "gate": LIVE,
}

_scope: ContextVar[CallScope] = ContextVar("dspex.scope")


def current() -> CallScope:
    """Return the scope of the running call; outside any call, a fresh empty one."""
    found = _scope.get(None)
    return CallScope() if found is None else found


def enter(place: CallScope) -> None:
    """Make `place` the scope of the running task from here on; for a task with one thing to do."""
    _scope.set(place)


class scope:  # noqa: N801 - a block, used like contextlib.suppress
    """Run a block in a scope of its own: a child called `name`, or the same place with `changes`.

    An earlier deadline of the surrounding scope stays in force. Also made for one scope per example
    and per program call, hence a class: a generator costs twice as much.
    """

    __slots__ = ("_changes", "_name", "_token")

    def __init__(self, name: str | None = None, **changes: Any) -> None:
        self._name = name
        self._changes = changes

    def __enter__(self) -> CallScope:
        outer, changes = current(), self._changes
        if outer.deadline is not None and changes.get("deadline") is not None:
            changes["deadline"] = min(changes["deadline"], outer.deadline)

        if self._name is not None:
            changes["path"] = (*outer.path, _element(outer, self._name))
            changes["ordinals"] = Ordinals()

        inner = _copy(outer, changes)
        self._token = _scope.set(inner)
        return inner

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _scope.reset(self._token)
