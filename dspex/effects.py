"""The gate for everything that is not deterministic, and the scope of a running call.

One `ContextVar` holds one `CallScope`: where in a program we are, which runtime serves it, its
deadline, budget, meter, trace and gate. Each concurrent branch gets a scope of its own, whose path
is fixed by its place (trial 3 / example 17 / predictor draft) and never by when it ran.

Whatever a program or an optimizer cannot compute from its inputs comes through the scope's `Gate`:
model calls, tools, clock, randomness, sleep. The live gate, the default, lets everything through. A
job sets one that journals what came through and, after a crash, answers from the journal.
"""

from __future__ import annotations

import asyncio
import os
import random as _random
import time
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextvars import ContextVar
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, Protocol, Self, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary, WeakSet

from dspex.errors import RuntimeNotFound

if TYPE_CHECKING:
    from types import TracebackType

    from dspex.usage import Usage, UsageMeter
    from supervision.task import TaskSupervisor
    from supervision.telemetry import Bus

__all__ = (
    "LIVE",
    "BudgetLease",
    "BudgetSource",
    "CallScope",
    "Effect",
    "Gate",
    "LiveGate",
    "Ordinals",
    "RuntimeHandle",
    "Trace",
    "TraceEntry",
    "announce_runtime",
    "current",
    "find_runtime",
    "map",
    "new_correlation_id",
    "now_s",
    "random",
    "retract_runtime",
    "scope",
    "sleep",
    "uuid4",
)

T = TypeVar("T")
R = TypeVar("R")


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

    def reserve(self, estimate: Usage) -> BudgetLease:
        """Set `estimate` aside or raise `BudgetExceeded`; never waits."""
        ...


@dataclass(frozen=True, slots=True)
class Effect(Generic[T]):
    """One thing that is about to enter the program from outside.

    `digest` is a check, not a key: a gate finds an effect by its place in the scope and compares
    the digest. `encode` and `decode` carry the outcome to and from JSON.
    """

    kind: str
    _: KW_ONLY
    run: Callable[[], Awaitable[T]]
    digest: Callable[[], str]
    encode: Callable[[T], Any]
    decode: Callable[[Any], T]


class Gate(Protocol):
    """The one door for what is not deterministic."""

    async def call(self, effect: Effect[T]) -> T:
        """Return the outcome of `effect`: by running it, or from a record of an earlier run."""
        ...

    def now_s(self) -> float:
        """Return seconds since the epoch."""
        ...

    def entropy(self, size: int) -> bytes:
        """Return `size` random bytes."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True, slots=True)
class LiveGate:
    """Lets everything through: the real clock, the system's randomness, real calls."""

    wall_clock: Callable[[], float] = time.time
    urandom: Callable[[int], bytes] = os.urandom

    async def call(self, effect: Effect[T]) -> T:
        """Run the effect."""
        return await effect.run()

    def now_s(self) -> float:
        """Return seconds since the epoch."""
        return self.wall_clock()

    def entropy(self, size: int) -> bytes:
        """Return `size` random bytes."""
        return self.urandom(size)

    async def sleep(self, delay_s: float) -> None:
        """Wait on the event loop's clock."""
        await asyncio.sleep(delay_s)


LIVE = LiveGate()


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


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """One predictor's call: who was asked, with what inputs, and the prediction it gave."""

    predictor: Any
    inputs: dict[str, Any]
    prediction: Any


class Trace:
    """The calls of predictors below one point, in the order they finished; bounded.

    When it is full the oldest entry goes and `dropped` counts it.
    """

    __slots__ = ("_limit", "dropped", "entries")

    def __init__(self, limit: int = 10_000) -> None:
        if limit < 1:
            raise ValueError(f"a trace holds at least one entry, got limit={limit!r}")

        self._limit = limit
        self.entries: list[TraceEntry] = []
        self.dropped = 0

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
    trace: Trace | None
    sample: int
    owner: Any
    gate: Gate


class CallScope(_ScopeFields):
    """Where a running call stands and what it may use; immutable, derived with `child`.

    `deadline` is a time of the running loop's clock. `sample` numbers the independent sample that
    is wanted of everything below (an epoch, a round): predictors put it into their requests.
    `owner` is the program whose `forward` runs in this scope: it knows its parts by name. Empty
    fields mean "none": no deadline, no budget.

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
        ordinal = self.ordinals.take(name)
        return self.branch(f"{name}#{ordinal}" if ordinal else name, **changes)

    def branch(self, element: str, **changes: Any) -> CallScope:
        """Return the scope of a branch whose name is unique here by itself, such as an index.

        Unlike `child` it leaves no mark in this scope: a million branches cost it nothing.
        """
        return self.changed(path=(*self.path, element), ordinals=Ordinals(), **changes)

    def changed(self, **changes: Any) -> CallScope:
        """Return a copy with other fields."""
        values = list(self)
        for name, value in changes.items():
            values[_SCOPE_FIELDS[name]] = value

        return CallScope._make(values)


_SCOPE_FIELDS: Final = {name: index for index, name in enumerate(_ScopeFields._fields)}
_EMPTY_SCOPE: Final = dict.fromkeys(_SCOPE_FIELDS) | {
    "path": (),
    "sample": 0,
    "gate": LIVE,
}

_scope: ContextVar[CallScope] = ContextVar("dspex.scope")


def current() -> CallScope:
    """Return the scope of the running call; outside any call, a fresh empty one."""
    found = _scope.get(None)
    return CallScope() if found is None else found


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

        name = self._name
        inner = outer.changed(**changes) if name is None else outer.child(name, **changes)
        self._token = _scope.set(inner)
        return inner

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _scope.reset(self._token)


def now_s() -> float:
    """Return seconds since the epoch, as the current gate has them."""
    return current().gate.now_s()


def random(seed: int | None = None) -> _random.Random:
    """Return a generator of its own: from `seed`, or from the gate's entropy when None."""
    if seed is None:
        seed = int.from_bytes(current().gate.entropy(8), "big")

    return _random.Random(seed)


def uuid4() -> UUID:
    """Return a random UUID whose bits came through the gate."""
    return UUID(bytes=current().gate.entropy(16), version=4)


async def sleep(delay_s: float) -> None:
    """Wait through the gate, so that a replay need not wait again."""
    await current().gate.sleep(delay_s)


def new_correlation_id() -> str:
    """Return 16 hexadecimal digits that follow one request through tasks, logs and spans.

    Not through the gate: it names a run of the code, and a replay is another run.
    """
    return os.urandom(8).hex()


async def map(
    function: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    max_concurrency: int = 100,
    name: str = "map",
) -> list[R]:
    """Apply an async function to every item, at most `max_concurrency` at a time, results in order.

    Each item runs in a scope named by its index, so that a replay finds its calls whatever order
    they finish in. Items are pulled only when there is room.

    Raises:
        ExceptionGroup: with the failure of each item that had failed when the others were
        cancelled.
    """
    if max_concurrency < 1:
        raise ValueError(f"max_concurrency must be at least 1, got {max_concurrency!r}")

    results: dict[int, R] = {}
    outer = current().child(name)
    source = _numbered(items)
    lock = asyncio.Lock()

    async def work() -> None:
        while True:
            async with lock:  # an async generator cannot be advanced by two tasks at once
                numbered = await anext(source, None)

            if numbered is None:
                return

            index, item = numbered
            _scope.set(outer.branch(str(index)))
            results[index] = await function(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_workers(items, max_concurrency)):
                group.create_task(work())
    finally:
        await source.aclose()

    return [results[index] for index in range(len(results))]


def _workers(items: object, max_concurrency: int) -> int:
    try:
        return min(max_concurrency, len(items))  # type: ignore[arg-type]  # asked, not assumed
    except TypeError:
        return max_concurrency


async def _numbered(items: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[tuple[int, T], None]:
    index = 0
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield index, item
            index += 1

        return

    for item in items:
        yield index, item
        index += 1


# The one permitted global: which runtimes are open on which loop. Weak on both sides, so that a
# forgotten runtime or loop is not kept alive. It is what lets a handler find the runtime that a
# server's lifespan opened in another task, out of reach of context variables.
_open: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakSet[RuntimeHandle]] = WeakKeyDictionary()


def announce_runtime(runtime: RuntimeHandle) -> None:
    """Make `runtime` the one that programs on the running loop find."""
    _open.setdefault(asyncio.get_running_loop(), WeakSet()).add(runtime)


def retract_runtime(runtime: RuntimeHandle) -> None:
    """Take back `announce_runtime`."""
    for runtimes in list(_open.values()):
        runtimes.discard(runtime)


def find_runtime() -> RuntimeHandle:
    """Return the runtime of the current scope, else the only one open on the running loop.

    Raises:
        RuntimeNotFound: none is open, or several are and the scope chooses none.
    """
    chosen = current().runtime
    if chosen is not None:
        return chosen

    here = sorted(_open.get(asyncio.get_running_loop(), ()), key=lambda runtime: runtime.name)
    if len(here) == 1:
        return here[0]

    if not here:
        raise RuntimeNotFound(
            "no Runtime is open on this event loop: open one with `async with dspex.Runtime...`, "
            "or give the program a client with `program.with_client(...)`"
        )

    names = ", ".join(repr(runtime.name) for runtime in here)
    raise RuntimeNotFound(
        f"{len(here)} Runtimes are open on this event loop ({names}) and none is in scope: run the "
        f"call inside `with runtime.use():`, or give the program a client of the one you mean"
    )
