"""One side of a comparison in a process of its own: what it takes, its memory included.

    python -m benchmarks.one_side '{"side": "bare", "base_url": ..., "model": ..., ...}'

Memory is what the process grew by, from just before the calls to their peak: two sides in one
process would share what the first has left behind. The result is one line of JSON.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import ssl
import sys
from collections.abc import Callable, Coroutine
from dataclasses import KW_ONLY, asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.measuring import drive, measure
from benchmarks.programs import chain_of_thought, examples
from benchmarks.reference import bare_caller, bare_calls
from benchmarks.settings import ROOT
from dspex.clients.tls import shrink_tls_buffers
from dspex.config import ProviderSettings, TlsSettings
from dspex.entry import tune_garbage_collection
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.metrics import exact_match
from dspex.messages import Message, Request
from dspex.runtime import Runtime

__all__ = ("Grown", "Side", "run_side")


@dataclass(frozen=True, slots=True)
class Side:
    """What to run: "bare" calls, "evaluate", or "complete" (client calls without a program)."""

    side: str
    base_url: str
    model: str
    _: KW_ONLY
    calls: int
    in_flight: int
    small_buffers: bool = False
    uvloop: bool = False


@dataclass(frozen=True, slots=True)
class Grown:
    """What one side took."""

    wall_s: float
    cpu_s: float
    memory_bytes: int


async def run_side(side: Side) -> Grown:
    """Run one side in a fresh interpreter."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.one_side", orjson.dumps(asdict(side)).decode()),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    out, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"{side} failed with exit code {process.returncode}; see its output")

    return Grown(**orjson.loads(out.splitlines()[-1]))


async def _run(side: Side) -> Grown:
    work = {"bare": _bare, "evaluate": _evaluate, "complete": _complete}[side.side]
    gc.collect()
    before = _resident_bytes()
    cost = await measure(side.calls, lambda: work(side))
    return Grown(cost.wall_s, cost.cpu_s, _peak_bytes() - before)


async def _bare(side: Side) -> None:
    async with bare_caller(side.base_url) as call:
        await bare_calls(call, side.model, calls=side.calls, in_flight=side.in_flight)


async def _evaluate(side: Side) -> None:
    async with _runtime(side):
        report = await evaluate(
            chain_of_thought(),
            examples(side.calls, name="p3"),
            exact_match("answer"),
            max_concurrency=side.in_flight,
            progress=False,
        )

    assert report.score == 1.0, report


async def _complete(side: Side) -> None:
    async with _runtime(side) as runtime:
        client = runtime.client()
        requests = [Request((Message("user", f"{n} {'x' * 200}"),)) for n in range(side.calls)]
        await drive(client.complete, requests, in_flight=side.in_flight)


def _runtime(side: Side) -> Runtime:
    provider = ProviderSettings(base_url=side.base_url, tls=TlsSettings(verify=False))
    return Runtime(default=f"load/{side.model}", providers={"load": provider})


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _loop_factory(side: Side) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if not side.uvloop:
        return None

    import importlib

    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module(
        "uvloop"
    ).new_event_loop
    return factory


def _main() -> None:
    side = Side(**orjson.loads(sys.argv[1]))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    tune_garbage_collection()
    ssl.create_default_context()  # loaded once, whatever the number of connections
    if side.small_buffers:
        shrink_tls_buffers()

    job: Coroutine[Any, Any, Grown] = _run(side)
    with asyncio.Runner(loop_factory=_loop_factory(side)) as runner:
        grown = runner.run(job)

    print(orjson.dumps(asdict(grown)).decode())


if __name__ == "__main__":
    _main()
