"""P10: a million examples against a model in this process: memory stays flat after the first.

The model is scripted: what it costs is little and always the same. The dataset is made as it is
pulled, and outcomes spill to a temporary file. What may grow is the row that a report keeps of each
outcome, at most 32 bytes; the figure is what the process grew by, row included, for each example
after the first 50,000. With the other aims 300,000 examples are run; by itself

    python -m benchmarks.p10_million              # a million, in some minutes, with every sample
    python -m benchmarks.p10_million 200000       # another number
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Aim, Figure
from benchmarks.measuring import Span
from benchmarks.settings import Setting
from dspex.evaluation.evaluator import Evaluation
from dspex.evaluation.metrics import exact_match
from dspex.programs.predict import Predict
from dspex.signatures.example import Example
from dspex.testing.models import ScriptedModel

__all__ = ("Sample", "growth", "main", "measure_aim", "sample_run")

_SETTLED = 50_000
"""After so many examples every pool, cache and buffer has its size."""

_AIM = Aim("<=", 32.0)
_ROW_BYTES = 32
_COUNT = 1_000_000
_AMONG_OTHERS = 300_000
_QUICK = 150_000
_STEP = 10_000
_IN_FLIGHT = 100


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment of the run."""

    examples: int
    resident_bytes: int
    elapsed_s: float


async def measure_aim(setting: Setting) -> list[Figure]:
    """Measure P10; a quick run has fewer examples."""
    count = _QUICK if setting.quick else _AMONG_OTHERS
    samples = await sample_run(count)
    return [_figure(count, samples)]


async def sample_run(count: int) -> list[Sample]:
    """Evaluate `count` examples and look at the process every 10,000."""
    model = ScriptedModel(lambda request: {"answer": "4"}, max_requests=1)
    program = Predict("question -> answer").with_client(model)
    began, samples = time.perf_counter(), list[Sample]()
    async with Evaluation(
        program, _examples(count), exact_match("answer"), max_concurrency=_IN_FLIGHT, progress=False
    ) as run:
        finished = 0
        async for _ in run:
            finished += 1
            if finished % _STEP == 0:
                samples.append(Sample(finished, _resident(), time.perf_counter() - began))

        report = await run.report()

    assert report.counts.scored == count, report
    return samples


def _examples(count: int) -> Iterator[Example]:
    for number in range(count):
        yield Example(question=f"What is 2 + 2? ({number})", answer="4").with_inputs("question")


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def growth(samples: list[Sample]) -> Span:
    """Return bytes for each example after the first 50,000: over all, and over either half."""
    settled = [sample for sample in samples if sample.examples >= _SETTLED]
    middle = settled[len(settled) // 2]
    slopes = [
        (late.resident_bytes - early.resident_bytes) / (late.examples - early.examples)
        for early, late in (
            (settled[0], settled[-1]),
            (settled[0], middle),
            (middle, settled[-1]),
        )
    ]
    return Span(slopes[0], min(slopes), max(slopes))


def _figure(count: int, samples: list[Sample]) -> Figure:
    settled = next(sample for sample in samples if sample.examples >= _SETTLED)
    last = samples[-1]
    return Figure(
        "P10",
        f"evaluate {count:,} examples, memory for each after the first {_SETTLED:,}",
        growth(samples),
        " B",
        _AIM,
        reference=f"at {settled.examples:,}: {settled.resident_bytes / 1e6:.0f} MB",
        subject=f"at {last.examples:,}: {last.resident_bytes / 1e6:.0f} MB",
        samples={
            "examples": [float(sample.examples) for sample in samples],
            "resident_bytes": [float(sample.resident_bytes) for sample in samples],
        },
        notes=(
            (
                f"{last.examples / last.elapsed_s:,.0f} examples/s, {_IN_FLIGHT} in flight; a row "
                f"of the report is at most {_ROW_BYTES} bytes, the rest is what the allocator keeps"
            ),
        ),
    )


def main() -> None:
    """Run with the number of examples from the command line, and print every sample."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else _COUNT
    gc.collect()
    samples = asyncio.run(sample_run(count))
    for sample in samples:
        resident = f"{sample.resident_bytes / 1e6:8.1f} MB"
        print(f"{sample.examples:>12,}  {resident}  {sample.elapsed_s:7.1f} s")

    print(f"{growth(samples).median:.1f} bytes an example after the first {_SETTLED:,}")


if __name__ == "__main__":
    main()
