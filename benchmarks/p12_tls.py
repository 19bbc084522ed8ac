"""P12: what a connection costs over TLS, beside one without: memory and CPU, loop by loop.

Each line is a process of its own that makes one call on each of 2,000 connections (self-signed, on
loopback), all of them open at once for as long as the server takes to answer. The buffers of
asyncio's TLS are measured as they come and as `shrink_tls_buffers` sets them; uvloop stands beside
them where it is installed.
"""

from __future__ import annotations

import importlib.util

from benchmarks.figures import Aim, Figure
from benchmarks.measuring import Span
from benchmarks.one_side import Side, run_side
from benchmarks.servers import load_server
from benchmarks.settings import Setting

__all__ = ("measure_aim",)

_CONNECTIONS = 2_000
_LATENCY_S = 5.0
_WITH_UVLOOP = Aim("<=", 80.0)


async def measure_aim(setting: Setting) -> list[Figure]:
    """Measure P12; a quick run has a quarter of the connections."""
    connections = setting.scaled(_CONNECTIONS)
    figures: list[Figure] = []
    async with (
        load_server((_LATENCY_S,)) as plain,
        load_server((_LATENCY_S,), tls=True) as secure,
    ):
        for words, changes in _variants():
            server = secure if changes.pop("tls", True) else plain
            side = Side(
                "complete",
                server.base_url(_LATENCY_S),
                server.model,
                calls=connections,
                in_flight=connections,
                **changes,
            )
            grown = await run_side(side)
            kilobytes = grown.memory_bytes / connections / 1024
            figures.append(
                Figure(
                    "P12",
                    f"memory per connection, {connections:,} open, {words}",
                    Span(kilobytes, kilobytes, kilobytes),
                    " KB",
                    _WITH_UVLOOP if side.uvloop else None,
                    subject=f"{grown.cpu_s / connections * 1e6:,.0f} us CPU each",
                    notes=(f"{words}: {grown.wall_s:.1f} s in all",),
                )
            )

    return figures


def _variants() -> list[tuple[str, dict[str, bool]]]:
    found = [
        ("plain TCP, asyncio", {"tls": False}),
        ("TLS, asyncio as it comes", dict[str, bool]()),
        ("TLS, asyncio with 64 KB buffers", {"small_buffers": True}),
    ]
    if importlib.util.find_spec("uvloop") is not None:
        found += [
            ("plain TCP, uvloop", {"tls": False, "uvloop": True}),
            ("TLS, uvloop", {"uvloop": True}),
        ]

    return found
