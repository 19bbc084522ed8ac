"""Measure the aims and print the table: `python -m benchmarks [P ...]`.

A missed aim is a line of the table and not an error; the exit code is 1 only if a benchmark could
not be run.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import signal
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Final, NoReturn

import orjson

from benchmarks import (
    p1_client_call,
    p2_evaluate,
    p3_in_flight,
    p4_peers,
    p5_cache,
    p6_import,
    p7_supervision,
    p8_bootstrap,
    p10_million,
    p12_tls,
    p13_adapters,
    telemetry,
)
from benchmarks.figures import Figure, machine, table, to_json
from benchmarks.servers import load_server, server_words
from benchmarks.settings import ROOT, Setting
from dspex.entry import tune_garbage_collection

Benchmark = Callable[[Setting], Awaitable[list[Figure]]]

_BENCHMARKS: Final[Mapping[str, Benchmark]] = MappingProxyType(
    {
        "P1": p1_client_call.measure_aim,
        "P2": p2_evaluate.measure_aim,
        "P3": p3_in_flight.measure_aim,
        "P4": p4_peers.measure_aim,
        "P5": p5_cache.measure_aim,
        "P6": p6_import.measure_aim,
        "P7": p7_supervision.measure_aim,
        "P8": p8_bootstrap.measure_aim,
        "P10": p10_million.measure_aim,
        "P12": p12_tls.measure_aim,
        "P13": p13_adapters.measure_aim,
        "PT": telemetry.measure_aim,
    }
)

_LATENCIES_S: Final = (0.0, 1.0)
_README: Final = ROOT / "benchmarks" / "README.md"
_LAST_TABLE: Final = "## Last table\n"


def main() -> int:
    """Run what the command line asks for."""
    options = _parse()
    # Leaves through the blocks that end the servers.
    signal.signal(signal.SIGTERM, _quit)
    _raise_open_file_limit()
    if not options.default_gc:
        tune_garbage_collection()

    server = server_words()
    about = machine(server) | {"garbage_collector": "default" if options.default_gc else "tuned"}
    print(_words(about))
    if options.quick:
        print("quick: few and short measurements, so the figures are noisy")

    began = time.perf_counter()
    figures: list[Figure] = []
    failed: list[str] = []
    for label in options.aims:
        print(f"measuring {label} ...", file=sys.stderr, flush=True)
        gc.collect()
        try:
            figures += asyncio.run(_measure(_BENCHMARKS[label], options))
        except Exception:
            traceback.print_exc()
            failed.append(label)

    print(f"\n{table(figures)}")
    print(f"\n{time.perf_counter() - began:.0f} s in all")
    if options.readme:
        _write_into_readme(_words(about), table(figures))

    if options.json is not None:
        about |= {"quick": options.quick}
        data = to_json(figures, about)
        options.json.write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n")

    if failed:
        print(f"could not be measured: {', '.join(failed)}", file=sys.stderr)

    return 1 if failed else 0


async def _measure(benchmark: Benchmark, options: argparse.Namespace) -> list[Figure]:
    async with load_server(_LATENCIES_S) as server:
        return await benchmark(
            Setting(server, quick=options.quick, peers=options.peers, verbose=options.verbose)
        )


def _words(about: Mapping[str, object]) -> str:
    facts = ((name.replace("_", " "), value) for name, value in about.items())
    return ", ".join(f"{name} {value}" for name, value in facts if value is not None)


def _write_into_readme(about: str, figures: str) -> None:
    head, _, _ = _README.read_text().partition(_LAST_TABLE)
    _README.write_text(f"{head}{_LAST_TABLE}\n{about}.\n\n{figures}\n")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "aims",
        nargs="*",
        type=_aim,
        metavar="P",
        help=f"which aims, as P1 or 1 (default: all of {', '.join(_BENCHMARKS)})",
    )
    parser.add_argument("--quick", action="store_true", help="under a minute; noisy")
    parser.add_argument("--peers", action="store_true", help="beside other libraries; see README")
    parser.add_argument(
        "--default-gc", action="store_true", help="leave the garbage collector as Python sets it"
    )
    parser.add_argument("--verbose", action="store_true", help="show where imports take their time")
    parser.add_argument(
        "--readme", action="store_true", help="put the table into benchmarks/README.md"
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="PATH",
        help="where the figures go as JSON (default: benchmarks/results.json for a whole run)",
    )
    options = parser.parse_args()
    whole = not options.aims
    options.aims = list(dict.fromkeys(options.aims)) or list(_BENCHMARKS)
    if options.json is None and whole and not options.quick:
        options.json = ROOT / "benchmarks" / "results.json"

    return options


def _aim(text: str) -> str:
    label = f"P{text.upper().removeprefix('P')}"
    if label not in _BENCHMARKS:
        raise argparse.ArgumentTypeError(f"no such aim: {text!r}; known: {', '.join(_BENCHMARKS)}")

    return label


def _raise_open_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _quit(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
