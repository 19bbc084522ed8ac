"""P5: what an example costs that the cache answers, and how long the loop is held up.

The same examples are evaluated again: by the same runtime, whose memory has every answer, and by a
new one, which finds them in the file that the first has left. The provider is asked once for each,
before anything is measured. The loop's delay is the longest time by which a timer of one
millisecond is late: what another task of the process waits at worst, the turn of every example in
flight included.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Aim, Figure
from benchmarks.measuring import Cost, drive, measure, span_of
from benchmarks.programs import chain_of_thought, examples
from benchmarks.settings import Setting
from dspex.cache import MemoryLevel, ResponseCache
from dspex.config import CacheSettings, ProviderSettings
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.metrics import exact_match
from dspex.messages import Choice, Message, Request, Response
from dspex.runtime import Runtime
from dspex.signatures.example import Example

__all__ = ("measure_aim",)

_EXAMPLES = 4_000
_IN_FLIGHT = 16
_BURST = 20_000
_LARGE_BYTES = 200_000
_MEMORY_AIM = Aim("<=", 60)
_DISK_AIM = Aim("<=", 150)
_DELAY_AIM = Aim("<=", 5)

_Round = Callable[[], Awaitable[Cost]]


async def measure_aim(setting: Setting) -> list[Figure]:
    """Measure P5."""
    dataset = examples(setting.scaled(_EXAMPLES), name="cached")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cache.db"
        async with _open(setting, path):
            await _evaluate(dataset, hits=0)
            await _evaluate(dataset, hits=len(dataset))
            memory = await _rounds(setting, lambda: _again(dataset, []))
            lookups = [await _lookups(len(dataset)) for _ in range(setting.pairs)]

        disk, late_ms = await _from_disk(setting, path, dataset)
        burst_ms = [await _burst(setting, Path(folder) / f"{n}.db") for n in range(3)]

    return [
        _hit("memory", memory, _MEMORY_AIM, lookups),
        _hit("disk", disk, _DISK_AIM, lookups),
        _delay("while examples are answered from disk", late_ms),
        _delay("while 20,000 answers are written and large ones read", burst_ms),
    ]


def _hit(level: str, costs: list[float], aim: Aim, lookups: list[float]) -> Figure:
    return Figure(
        "P5",
        f"evaluate ChainOfThought again from {level}, CPU per example",
        span_of(costs),
        " us",
        aim,
        reference=f"dict lookup and Response {span_of(lookups).median:.1f} us",
        subject=f"{span_of(costs).median:.0f} us",
        samples={"reference_us": lookups, "subject_us": costs},
    )


def _delay(when: str, late_ms: list[float]) -> Figure:
    return Figure(
        "P5",
        f"longest delay of the loop {when}",
        span_of(late_ms),
        " ms",
        _DELAY_AIM,
        subject=f"{span_of(late_ms).median:.1f} ms",
        samples={"subject_ms": late_ms},
    )


@asynccontextmanager
async def _open(setting: Setting, path: Path) -> AsyncIterator[Runtime]:
    provider = ProviderSettings(base_url=setting.server.base_url(0.0))
    async with Runtime(
        default=f"load/{setting.server.model}",
        providers={"load": provider},
        cache=CacheSettings(path=path),
    ) as runtime:
        yield runtime


async def _rounds(setting: Setting, once: _Round) -> list[float]:
    await once()
    return [(await once()).cpu_us_per_call for _ in range(setting.pairs)]


async def _again(dataset: list[Example], late_ms: list[float]) -> Cost:
    async def work() -> None:
        with _watching(late_ms):
            await _evaluate(dataset, hits=len(dataset))

    return await measure(len(dataset), work)


async def _evaluate(dataset: list[Example], *, hits: int) -> None:
    report = await evaluate(
        chain_of_thought(),
        dataset,
        exact_match("answer"),
        max_concurrency=_IN_FLIGHT,
        progress=False,
    )
    assert report.score == 1.0, report
    assert report.cache_hits == hits, report


async def _from_disk(
    setting: Setting, path: Path, dataset: list[Example]
) -> tuple[list[float], list[float]]:
    late_ms: list[float] = []

    async def once() -> Cost:
        async with _open(setting, path) as runtime:
            cost = await _again(dataset, late_ms)
            cache = runtime.statistics().cache
            assert cache is not None
            assert cache.disk_hits == len(dataset), cache
            return cost

    return await _rounds(setting, once), late_ms[1:]


async def _lookups(count: int) -> float:
    """Return what the least possible hit costs: a lookup in memory that builds the response."""
    level = MemoryLevel(2**30)
    keys = [f"key {index}" for index in range(count)]
    for key in keys:
        level.put(key, Response((Choice("x" * 200),), model="m"))

    async def look_up() -> None:
        for key in keys:
            level.get(key)

    return (await measure(count, look_up)).cpu_us_per_call


async def _burst(setting: Setting, path: Path) -> float:
    """Return the loop's delay while a store is written to as fast as can be, and read from."""
    late_ms: list[float] = []
    async with _open(setting, path) as runtime:
        cache = runtime.cache
        assert isinstance(cache, ResponseCache)
        large = [f"large {index}" for index in range(50)]
        for key in large:
            cache.put(key, _answer(_LARGE_BYTES))

        with _watching(late_ms):
            await drive(_writer(cache), range(setting.scaled(_BURST)), in_flight=1)
            await drive(cache.fetch, large * 4, in_flight=_IN_FLIGHT)

    return late_ms[0]


def _writer(cache: ResponseCache) -> Callable[[int], Awaitable[None]]:
    async def write(index: int) -> None:
        request = Request((Message("user", f"question {index}"),))
        cache.put(request.digest(), _answer(2_000))
        await asyncio.sleep(0)

    return write


def _answer(size: int) -> Response:
    return Response((Choice("x" * size),), model="m", endpoint="load")


@contextmanager
def _watching(late_ms: list[float]) -> Iterator[None]:
    """Append the longest delay of the loop during the block."""
    loop, worst, due = asyncio.get_running_loop(), 0.0, 0.0
    timer: asyncio.TimerHandle | None = None

    def tick() -> None:
        nonlocal worst, due, timer
        now = time.perf_counter()
        worst = max(worst, now - due)
        due = now + 0.001
        timer = loop.call_later(0.001, tick)

    due = time.perf_counter()
    tick()
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()

        late_ms.append(worst * 1e3)
