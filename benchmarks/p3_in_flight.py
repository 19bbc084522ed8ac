"""P3: an evaluation with 10,000 examples in flight at 5 s latency: 20,000 of them, ideal 10 s.

The wall time over the bare loop's, and what the process grows by for each example in flight, over
the bare loop's. Each side runs in processes of its own, in turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from benchmarks.figures import Aim, Figure
from benchmarks.measuring import Span, span_of
from benchmarks.one_side import Grown, Side, run_side
from benchmarks.servers import load_server
from benchmarks.settings import Setting

__all__ = ("measure_aim",)

_EXAMPLES = 20_000
_IN_FLIGHT = 10_000
_LATENCY_S = 5.0
_PAIRS = 3
_WALL = Aim("<=", 1.15)
_MEMORY = Aim("<=", 1.5)


async def measure_aim(setting: Setting) -> list[Figure]:
    """Measure P3; a quick run makes one pair, at a fifth of the size."""
    part = 5 if setting.quick else 1
    calls, in_flight = _EXAMPLES // part, _IN_FLIGHT // part
    bare, ours = list[Grown](), list[Grown]()
    async with load_server((_LATENCY_S,)) as server:
        for _ in range(1 if setting.quick else _PAIRS):
            for side, results in (("bare", bare), ("evaluate", ours)):
                work = Side(
                    side,
                    server.base_url(_LATENCY_S),
                    server.model,
                    calls=calls,
                    in_flight=in_flight,
                )
                results.append(await run_side(work))

    what = f"evaluate, {calls:,} examples, {in_flight:,} in flight, {_LATENCY_S:g} s latency"
    return [
        _figure(f"{what}: wall", [one.wall_s for one in bare], [one.wall_s for one in ours], "s"),
        _figure(
            f"{what}: memory per example in flight",
            [one.memory_bytes / in_flight / 1024 for one in bare],
            [one.memory_bytes / in_flight / 1024 for one in ours],
            "KB",
        ),
    ]


def _figure(what: str, bare: Sequence[float], ours: Sequence[float], unit: str) -> Figure:
    each = span_of(own / other for own, other in zip(ours, bare, strict=True))
    return Figure(
        "P3",
        what,
        Span(median(ours) / median(bare), each.low, each.high),
        "x",
        _WALL if unit == "s" else _MEMORY,
        reference=f"bare aiohttp {median(bare):.1f} {unit}",
        subject=f"{median(ours):.1f} {unit}",
        samples={f"reference_{unit.lower()}": bare, f"subject_{unit.lower()}": ours},
    )
