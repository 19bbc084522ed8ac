"""P4: the wall time of one evaluation, here and by DSPy: 4,000 examples, 1 s latency, 2,000 asked.

The ideal is two seconds. DSPy runs in its own environment and process against the same server; its
start-up, imports and first call are not counted. Without `--peers` only the bare loop, which knows
no program, examples or scores, stands beside ours.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.figures import Aim, Figure
from benchmarks.measuring import Cost, Pairs, Span, interleave, measure, span_of
from benchmarks.programs import chain_of_thought, examples, open_runtime
from benchmarks.reference import bare_caller, bare_calls
from benchmarks.servers import ANSWER
from benchmarks.settings import PEERS_PYTHON, Setting
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.metrics import exact_match

__all__ = ("measure_aim",)

_EXAMPLES = 4_000
_IN_FLIGHT = 2_000
_LATENCY_S = 1.0
_PAIRS = 5
_QUICK_PAIRS = 2
_AIM = Aim(">=", 8.0)

_DSPY = Path(__file__).parent / "peers" / "dspy_evaluate.py"


async def measure_aim(setting: Setting) -> list[Figure]:
    """Measure P4; beside DSPy if the setting asks for it."""
    pairs = await _measure(setting)
    bare = Figure(
        "P4",
        f"evaluate, {_EXAMPLES:,} examples, {_LATENCY_S:g} s latency, {_IN_FLIGHT:,} asked, wall",
        pairs.ratio,
        "x",
        None,
        reference=f"bare aiohttp {span_of(pairs.reference).median:.1f} s",
        subject=f"{span_of(pairs.subject).median:.1f} s",
        samples={"reference_s": pairs.reference, "subject_s": pairs.subject},
    )
    if not setting.peers:
        return [replace(bare, notes=("the comparison with DSPy runs with --peers",))]

    return [bare, _beside_dspy(pairs, await _run_dspy(setting))]


async def _measure(setting: Setting) -> Pairs:
    program, metric, model = chain_of_thought(), exact_match("answer"), setting.server.model
    async with (
        bare_caller(setting.server.base_url(_LATENCY_S)) as bare,
        open_runtime(setting, _LATENCY_S),
    ):

        async def reference(_: int) -> Cost:
            return await bare_calls(bare, model, calls=_EXAMPLES, in_flight=_IN_FLIGHT)

        async def subject(number: int) -> Cost:
            dataset = examples(_EXAMPLES, name=number)

            async def run() -> None:
                report = await evaluate(
                    program, dataset, metric, max_concurrency=_IN_FLIGHT, progress=False
                )
                assert report.score == 1.0, report
                assert report.cache_hits == 0, report

            return await measure(_EXAMPLES, run)

        pairs = _QUICK_PAIRS if setting.quick else _PAIRS
        return await interleave(reference, subject, pairs=pairs, value=lambda cost: cost.wall_s)


def _beside_dspy(pairs: Pairs, dspy: dict[str, Any]) -> Figure:
    assert dspy["score"] == 100, dspy
    wall_s = float(dspy["wall_s"])
    ours = span_of(pairs.subject)
    return Figure(
        "P4",
        "the same by DSPy, how many times as long",
        Span(wall_s / ours.median, wall_s / ours.high, wall_s / ours.low),
        "x",
        _AIM,
        reference=f"DSPy {dspy['version']} {wall_s:.1f} s",
        subject=f"{ours.median:.1f} s",
        samples={"reference_s": (wall_s,), "subject_s": pairs.subject},
        notes=(f"DSPy in one run, {_IN_FLIGHT:,} threads, {dspy['cpu_s']:.1f} s of CPU",),
    )


async def _run_dspy(setting: Setting) -> dict[str, Any]:
    if not PEERS_PYTHON.exists():
        raise RuntimeError("--peers needs the peers' environment: run `make bench-peers`")

    with TemporaryDirectory(prefix="dspex-peers-") as folder:
        process = await asyncio.create_subprocess_exec(
            PEERS_PYTHON,
            _DSPY,
            setting.server.base_url(_LATENCY_S),
            setting.server.model,
            ANSWER,
            str(_EXAMPLES),
            str(_IN_FLIGHT),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Its price list would be fetched from the network otherwise.
            env={**os.environ, "DSPY_CACHEDIR": folder, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        )
        out, err = await process.communicate()

    if process.returncode:
        raise RuntimeError(f"DSPy's evaluation failed:\n{err.decode()[-2000:]}")

    return dict(json.loads(out.splitlines()[-1]))
