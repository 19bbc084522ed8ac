"""P7: what supervision costs, each gate beside the barest asyncio that does the same.

Actors against futures and deques, children against tasks, deadlines against `asyncio.timeout`. With
`--peers` also other libraries: an actor on an `asyncio.Queue` here, pykka and mode in a process of
their own. Everything runs in one process, and CPU time is what is compared, unless said otherwise.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import time
import tracemalloc
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeAlias

from benchmarks.figures import Aim, Figure
from benchmarks.measuring import Cost, Pairs, Span, drive, interleave, measure, span_of
from benchmarks.settings import PEERS_PYTHON, Setting
from supervision import (
    Actor,
    ChildSpec,
    Deadlines,
    DynamicSupervisor,
    Ref,
    Supervisor,
    TaskSupervisor,
    handle,
)
from supervision.report import LOGGER_NAME
from supervision.testing import crash, wait_until

__all__ = ("measure_aim",)

_CALLS: Final = 20_000
_CLIENTS: Final = 256
_BATCH: Final = 1_000
_CHILDREN: Final = 10_000
_FOREIGN: Final = 500_000
_PEERS: Final = Path(__file__).parent / "peers" / "actors.py"

Round: TypeAlias = Callable[[], Awaitable[object]]


async def measure_aim(setting: Setting) -> list[Figure]:
    """Measure P7; beside other libraries if the setting asks for it."""
    figures = [
        *await _calls(setting),
        await _casts(setting),
        *await _lives(setting),
        await _in_order(setting),
        *await _restarts(setting),
        await _idle(),
        await _memory(setting),
        await _foreign_messages(setting),
        await _streams(setting),
        await _timeouts(setting),
    ]
    return [*figures, *await _peers(setting)] if setting.peers else figures


# --- actors ---------------------------------------------------------------------------------------


class _Echo(Actor):
    seen = 0

    @handle.call
    async def echo(self, value: int) -> int:
        return value

    @handle.call
    def peek(self, value: int) -> int:
        return value

    @handle.cast
    def note(self, value: int) -> None:
        self.seen = value


class _Bare:
    """The least an actor can be: a deque, one future to wake it, one for each answer."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.inbox: deque[tuple[int, asyncio.Future[int]]] = deque()
        self.reader: asyncio.Future[None] | None = None

    async def echo(self, value: int) -> int:
        return value

    async def serve(self) -> None:
        while True:
            while self.inbox:
                value, answer = self.inbox.popleft()
                answer.set_result(await self.echo(value))

            self.reader = self.loop.create_future()
            await self.reader

    async def call(self, value: int) -> int:
        answer: asyncio.Future[int] = self.loop.create_future()
        self.inbox.append((value, answer))
        if self.reader is not None and not self.reader.done():
            self.reader.set_result(None)

        return await answer


class _Queued:
    """The usual actor: an `asyncio.Queue`, and a future for each answer."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.inbox: asyncio.Queue[tuple[int, asyncio.Future[int]]] = asyncio.Queue()

    async def echo(self, value: int) -> int:
        return value

    async def serve(self) -> None:
        while True:
            value, answer = await self.inbox.get()
            answer.set_result(await self.echo(value))

    async def call(self, value: int) -> int:
        answer: asyncio.Future[int] = self.loop.create_future()
        await self.inbox.put((value, answer))
        return await answer


@asynccontextmanager
async def _serving(actor: _Bare | _Queued) -> AsyncIterator[None]:
    task = asyncio.create_task(actor.serve())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


@asynccontextmanager
async def _echo() -> AsyncIterator[Ref[_Echo]]:
    async with Supervisor([ChildSpec("echo", _Echo)], name="benchmark") as root:
        yield root.ref("echo", _Echo)


async def _two_turns() -> None:
    """Wait as a caller must that wakes somebody and is woken: two turns of the loop per call."""
    loop = asyncio.get_running_loop()
    for _ in range(_CALLS):
        answer = loop.create_future()
        loop.call_soon(answer.set_result, None)
        await answer


async def _one_by_one(call: Callable[[int], Awaitable[object]]) -> None:
    for number in range(_CALLS):
        await call(number)


async def _return(value: int) -> int:
    return value


async def _calls(setting: Setting) -> list[Figure]:
    bare = _Bare()
    async with _serving(bare), _echo() as ref:

        def unlimited(value: int) -> Coroutine[Any, Any, int]:
            return ref.call(_Echo.echo, value, timeout=None)

        def limited(value: int) -> Coroutine[Any, Any, int]:
            return ref.call(_Echo.echo, value)

        async def inline() -> None:
            for number in range(_CALLS):
                await ref.call(_Echo.peek, number, timeout=None)

        async def awaits() -> None:
            for number in range(_CALLS):
                await _return(number)

        one = await _pairs(setting, _two_turns, lambda: _one_by_one(unlimited))
        many = await _pairs(setting, lambda: _many(bare.call), lambda: _many(unlimited))
        plain = await _pairs(setting, awaits, inline)
        timed = await _pairs(setting, lambda: _many(unlimited), lambda: _many(limited))

    extra = [own - other for other, own in zip(timed.reference, timed.subject, strict=True)]
    return [
        _ratio("actor call, 1 client", one, Aim("<=", 1.2), "future by call_soon"),
        _ratio(f"actor call, {_CLIENTS} clients", many, Aim("<=", 1.3), "deque and future"),
        _ratio("actor call answered inline", plain, Aim("<=", 4.0), "await a coroutine"),
        Figure(
            "P7",
            f"actor call, {_CLIENTS} clients, what a timeout adds",
            span_of(extra),
            " us",
            Aim("<=", 0.8),
            reference=f"without {median(timed.reference):.2f} us",
            subject=f"{median(timed.subject):.2f} us",
            samples={"reference_us": timed.reference, "subject_us": timed.subject},
        ),
    ]


async def _many(call: Callable[[int], Awaitable[object]]) -> None:
    await drive(call, range(_CALLS), in_flight=_CLIENTS)


async def _casts(setting: Setting) -> Figure:
    async def bare() -> None:
        queue: deque[int] = deque()
        for _ in range(_CALLS // _BATCH):
            for number in range(_BATCH):
                queue.append(number)

            while queue:
                queue.popleft()

    async with _echo() as ref:

        async def casts() -> None:
            for _ in range(_CALLS // _BATCH):
                for number in range(_BATCH):
                    ref.cast(_Echo.note, number)

                await ref.call(_Echo.echo, 0, timeout=None)

        pairs = await _pairs(setting, bare, casts)

    return _ratio("actor cast, sent and handled", pairs, Aim("<=", 3.0), "deque in and out")


async def _foreign_messages(setting: Setting) -> Figure:
    """Let an actor call another while its own mailbox is empty, and while it is full."""
    count = _FOREIGN // 10 if setting.quick else _FOREIGN

    class Caller(Actor):
        @handle.call
        async def compare(self, echo: Ref[_Echo], own: Ref[Caller]) -> tuple[float, float]:
            empty = await self.calls(echo)
            for number in range(count):
                own.cast(Caller.drop, number)

            full = await self.calls(echo)
            return empty, full

        async def calls(self, echo: Ref[_Echo]) -> float:
            cost = await measure(_BATCH, lambda: drive(_caller(echo), range(_BATCH), in_flight=1))
            return cost.cpu_us_per_call

        @handle.cast
        def drop(self, number: int) -> None:
            pass

    specs = [ChildSpec("echo", _Echo), ChildSpec("caller", Caller)]
    async with Supervisor(specs, name="benchmark") as root:
        echo, caller = root.ref("echo", _Echo), root.ref("caller", Caller)
        both = [
            await caller.call(Caller.compare, echo, caller, timeout=None)
            for _ in range(setting.pairs)
        ]

    pairs = Pairs(tuple(empty for empty, _ in both), tuple(full for _, full in both))
    what = f"call by an actor that has {count:,} messages itself"
    return _ratio(what, pairs, Aim("<=", 10.0), "it has none")


def _caller(ref: Ref[_Echo]) -> Callable[[int], Awaitable[object]]:
    return lambda value: ref.call(_Echo.echo, value)


# --- children -------------------------------------------------------------------------------------


async def _wait() -> None:
    await asyncio.get_running_loop().create_future()


async def _lives(setting: Setting) -> list[Figure]:
    """Start and stop many tasks; and many children of a dynamic supervisor."""
    starts: list[tuple[float, float]] = []
    stops: list[tuple[float, float]] = []
    for number in range(setting.pairs + 1):
        task_start, task_stop = await _task_lives(_CHILDREN)
        child_start, child_stop = await _child_lives(_CHILDREN)
        if number:
            starts.append((task_start, child_start))
            stops.append((task_stop, child_stop))

    return [
        _ratio(f"start {_CHILDREN:,} dynamic children", _turned(starts), Aim("<=", 2.5), "tasks"),
        _ratio(f"stop {_CHILDREN:,} dynamic children", _turned(stops), Aim("<=", 2.0), "tasks"),
    ]


async def _task_lives(count: int) -> tuple[float, float]:
    tasks: list[asyncio.Task[None]] = []

    async def start() -> None:
        tasks.extend(asyncio.create_task(_wait()) for _ in range(count))
        await asyncio.wait(tasks, timeout=0)

    async def stop() -> None:
        for task in tasks:
            task.cancel()

        await asyncio.wait(tasks)

    begun = await measure(count, start)
    ended = await measure(count, stop)
    return begun.cpu_us_per_call, ended.cpu_us_per_call


async def _child_lives(count: int) -> tuple[float, float]:
    spec = ChildSpec(None, _wait)
    supervisor = DynamicSupervisor(name="benchmark")
    await supervisor.__aenter__()

    async def start() -> None:
        for _ in range(count):
            await supervisor.start_child(spec)

        await asyncio.sleep(0)

    begun = await measure(count, start)
    ended = await measure(count, lambda: supervisor.__aexit__(None, None, None))
    return begun.cpu_us_per_call, ended.cpu_us_per_call


async def _in_order(setting: Setting) -> Figure:
    """Compare the stop of many static children, one after another, with that of a hundredth."""
    few, many = (100, 10_000) if setting.quick else (1_000, 100_000)

    async def stop(count: int) -> float:
        supervisor = Supervisor([ChildSpec(n, _wait) for n in range(count)], name="benchmark")
        await supervisor.__aenter__()
        cost = await measure(1, lambda: supervisor.__aexit__(None, None, None))
        return cost.cpu_us_per_call

    one = median([await stop(few) for _ in range(5)])
    all_ = await stop(many)
    return _ratio(
        f"stop {many:,} static children in order",
        Pairs((one,), (all_,)),
        Aim("<=", 300.0),
        f"{few:,} of them,",
    )


async def _restarts(setting: Setting) -> list[Figure]:
    count = _CHILDREN // 10 if setting.quick else _CHILDREN
    specs = [ChildSpec("child", _wait)]
    async with _unreported(), Supervisor(specs, intensity=10**9, name="benchmark") as root:
        ref = root.ref("child")
        await _crash(ref, count // 10)
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        await _crash(ref, count)
        gc.collect()
        grown = (tracemalloc.get_traced_memory()[0] - before) / 1e6
        tracemalloc.stop()
        took = await _crash(ref, count)

    return [
        Figure(
            "P7",
            "from a crash to its restart, median, wall",
            Span(median(took), *_middle(took)),
            " us",
            Aim("<=", 50.0),
            notes=("of the restarts the spread is that of the middle 90 %; no log is written",),
        ),
        Figure(
            "P7",
            f"memory that {count:,} restarts leave behind",
            Span(grown, grown, grown),
            " MB",
            Aim("<=", 1.0),
        ),
    ]


@asynccontextmanager
async def _unreported() -> AsyncIterator[None]:
    """Leave out what it costs to write a log: that depends on where it goes."""
    logger = logging.getLogger(LOGGER_NAME)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


async def _crash(ref: Ref[Any], count: int) -> list[float]:
    """Crash a child so many times; return how long each took, in microseconds."""
    took: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        pid = crash(ref)
        await _wait_other(ref, pid)
        took.append((time.perf_counter() - began) * 1e6)

    return took


async def _wait_other(ref: Ref[Any], pid: int) -> None:
    await wait_until(lambda: ref.state == "running" and ref.pid != pid)


def _middle(values: Iterable[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[len(ordered) // 20], ordered[-1 - len(ordered) // 20]


async def _idle() -> Figure:
    """Count the CPU of a second in which a tree has nothing to do."""
    specs = [ChildSpec(number, _wait) for number in range(1_000)]
    async with Supervisor(specs, name="benchmark"):
        await asyncio.sleep(0.1)
        cost = await measure(1, lambda: asyncio.sleep(1.0))

    spent = cost.cpu_s * 1e3
    what = "CPU of a tree of 1,000 children that is idle, per second"
    return Figure("P7", what, Span(spent, spent, spent), " ms", Aim("<=", 1.0))


async def _memory(setting: Setting) -> Figure:
    count = _CHILDREN if setting.quick else _CHILDREN * 10
    tracemalloc.start()
    tasks = [asyncio.create_task(_wait()) for _ in range(count)]
    await asyncio.sleep(0)
    bare, _ = tracemalloc.get_traced_memory()
    for task in tasks:
        task.cancel()

    await asyncio.wait(tasks)
    tasks.clear()
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    spec = ChildSpec(None, _wait)
    async with DynamicSupervisor(name="benchmark") as supervisor:
        for _ in range(count):
            await supervisor.start_child(spec)

        await asyncio.sleep(0)
        own = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()

    more = (own - bare) / count
    return Figure(
        "P7",
        f"memory of each of {count:,} children, above that of a task",
        Span(more, more, more),
        " B",
        Aim("<=", 2_000.0),
        reference=f"task {bare / count:,.0f} B",
        subject=f"{own / count:,.0f} B",
    )


# --- what model calls go through -----------------------------------------------------------------


async def _streams(setting: Setting) -> Figure:
    async def work(number: int) -> int:
        await asyncio.sleep(0)
        return number

    async def bare() -> None:
        for _ in range(_CALLS // 100):
            async with asyncio.TaskGroup() as group:
                for number in range(100):
                    group.create_task(work(number))

    async with TaskSupervisor(name="benchmark") as tasks:

        async def stream() -> None:
            items = range(_CALLS)
            async for _ in tasks.async_stream(work, items, max_concurrency=100, timeout=None):
                pass

        pairs = await _pairs(setting, bare, stream)

    return _ratio("async_stream, 100 at a time, per item", pairs, None, "TaskGroup")


async def _timeouts(setting: Setting) -> Figure:
    deadlines = Deadlines()

    async def theirs() -> None:
        for _ in range(_CALLS):
            async with asyncio.timeout(30.0):  # noqa: ASYNC100 - what the block itself costs
                pass

    async def ours() -> None:
        for _ in range(_CALLS):
            with deadlines.timeout(30.0):
                pass

    pairs = await _pairs(setting, theirs, ours)
    deadlines.close()
    return _ratio("a block with a time limit", pairs, None, "asyncio.timeout")


# --- other libraries ------------------------------------------------------------------------------


async def _peers(setting: Setting) -> list[Figure]:
    ours = await _restart_and_calls(setting)
    theirs = await _run_peers()
    pykka, mode = theirs["pykka"], theirs["mode"]
    return [
        _beside("actor call, 1 client", f"pykka {pykka['version']}", pykka["call_us"], ours["one"]),
        _beside("actor call, 1 client", "asyncio.Queue", ours["queue"], ours["one"]),
        _beside(
            f"actor call, {_CLIENTS} clients", "asyncio.Queue", ours["queue_many"], ours["many"]
        ),
        _beside("start a child", f"mode {mode['version']}", mode["start_us"], ours["start"]),
        _beside(
            "from a crash to its restart, wall",
            f"mode {mode['version']}",
            mode["restart_us"],
            ours["restart"],
        ),
    ]


async def _restart_and_calls(setting: Setting) -> dict[str, tuple[float, ...]]:
    queued = _Queued()
    async with _serving(queued), _echo() as ref:

        def call(value: int) -> Coroutine[Any, Any, int]:
            return ref.call(_Echo.echo, value, timeout=None)

        one = await _pairs(setting, lambda: _one_by_one(queued.call), lambda: _one_by_one(call))
        many = await _pairs(setting, lambda: _many(queued.call), lambda: _many(call))

    root = Supervisor([ChildSpec("child", _wait)], intensity=10**9, name="benchmark")
    async with _unreported(), root:
        restart = await _crash(root.ref("child"), 100)

    start = [(await _child_lives(_BATCH))[0] for _ in range(setting.pairs)]
    return {
        "one": one.subject,
        "many": many.subject,
        "queue": one.reference,
        "queue_many": many.reference,
        "restart": tuple(restart),
        "start": tuple(start),
    }


def _beside(what: str, who: str, theirs: Iterable[float], ours: Iterable[float]) -> Figure:
    other, own = span_of(theirs), span_of(ours)
    return Figure(
        "P7",
        f"{what}, how many times as long",
        Span(other.median / own.median, other.low / own.high, other.high / own.low),
        "x",
        None,
        reference=f"{who} {other.median:,.1f} us",
        subject=f"{own.median:.1f} us",
        samples={"reference_us": tuple(theirs), "subject_us": tuple(ours)},
    )


async def _run_peers() -> dict[str, Any]:
    if not PEERS_PYTHON.exists():
        raise RuntimeError("--peers needs the peers' environment: run `make bench-peers`")

    process = await asyncio.create_subprocess_exec(
        PEERS_PYTHON,
        _PEERS,
        str(_CALLS),
        str(_BATCH),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the other libraries failed:\n{err.decode()[-2000:]}")

    return dict(json.loads(out.splitlines()[-1]))


# --- pairs and figures ----------------------------------------------------------------------------


async def _pairs(setting: Setting, reference: Round, subject: Round) -> Pairs:
    """Measure both in turns, each making `_CALLS` calls; in microseconds of CPU per call."""
    return await interleave(
        lambda _: measure(_CALLS, reference),
        lambda _: measure(_CALLS, subject),
        pairs=setting.pairs,
        value=_cpu_us,
    )


def _cpu_us(cost: Cost) -> float:
    return cost.cpu_us_per_call


def _turned(pairs: Iterable[tuple[float, float]]) -> Pairs:
    theirs, ours = zip(*pairs, strict=True)
    return Pairs(theirs, ours)


def _ratio(what: str, pairs: Pairs, aim: Aim | None, reference: str) -> Figure:
    return Figure(
        "P7",
        what,
        pairs.ratio,
        "x",
        aim,
        reference=f"{reference} {median(pairs.reference):.2f} us",
        subject=f"{median(pairs.subject):.2f} us",
        samples={"reference_us": pairs.reference, "subject_us": pairs.subject},
    )
