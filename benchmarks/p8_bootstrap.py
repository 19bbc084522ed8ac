"""P8: how long BootstrapFewShot takes for 8 demos, and how many calls it makes beyond a scan.

Against the load server, one second away, every example succeeds: what a scan one by one does in
eight seconds, the concurrent one does in one. Where examples fail it must guess how many to start;
that is measured by counting calls, on virtual time, with latencies that mix up the answers' order.
In both cases the demos must be those of the scan one by one.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.figures import Aim, Figure
from benchmarks.measuring import Span, span_of
from benchmarks.programs import SIGNATURE, chain_of_thought, examples, open_runtime
from benchmarks.settings import Setting
from dspex.evaluation.metrics import exact_match
from dspex.messages import Request
from dspex.optimizers.bootstrap import BootstrapFewShot
from dspex.programs.predict import Predict
from dspex.signatures.example import Example
from dspex.testing.loop import VirtualTimeLoop
from dspex.testing.models import ScriptedModel

__all__ = ("measure_aim",)

_DEMOS = 8
_LATENCY_S = 1.0
_RUNS = 5
_QUICK_RUNS = 2
_WALL_AIM = Aim("<=", 1.3)

_RATES = tuple(rate / 10 for rate in range(1, 11))
_SEEDS = 20
_QUICK_SEEDS = 5
_TRAINSET = 400
_CALLS_AIM = Aim("<=", 1.5)


async def measure_aim(setting: Setting) -> list[Figure]:
    """Measure P8: the wall time, then the calls."""
    wall = await _wall(setting)
    seeds = _QUICK_SEEDS if setting.quick else _SEEDS
    # A loop on virtual time cannot run inside this one.
    calls = await asyncio.to_thread(_count_calls, seeds)
    return [wall, *calls]


# --- wall time


async def _wall(setting: Setting) -> Figure:
    walls: list[float] = []
    async with open_runtime(setting, _LATENCY_S):
        began = time.perf_counter()
        await _one_by_one(examples(3 * _DEMOS, name="scan"))
        one_by_one_s = time.perf_counter() - began
        for number in range(_QUICK_RUNS if setting.quick else _RUNS):
            trainset = examples(3 * _DEMOS, name=number)
            began = time.perf_counter()
            demos = await _bootstrap(chain_of_thought(), trainset)
            walls.append(time.perf_counter() - began)
            assert _questions(demos) == _questions(trainset[:_DEMOS]), "not the scan's demos"

    return Figure(
        "P8",
        f"BootstrapFewShot, {_DEMOS} demos, {_LATENCY_S:g} s latency, all succeed, wall",
        span_of(walls),
        " s",
        _WALL_AIM,
        reference=f"one by one {one_by_one_s:.1f} s",
        subject=f"{span_of(walls).median:.2f} s",
        samples={"reference_s": (one_by_one_s,), "subject_s": walls},
    )


async def _one_by_one(trainset: list[Example]) -> None:
    program, found = chain_of_thought(), 0
    for example in trainset:
        prediction = await program(**example.inputs())
        found += prediction["answer"] == example["answer"]
        if found == _DEMOS:
            return


async def _bootstrap(program: Predict, trainset: list[Example]) -> tuple[Example, ...]:
    optimizer = BootstrapFewShot(
        exact_match("answer"), max_bootstrapped_demos=_DEMOS, max_labeled_demos=0
    )
    compiled = await optimizer.compile(program, trainset=trainset)
    return compiled.demos


# --- calls


@dataclass(frozen=True, slots=True)
class _Task:
    """Examples of which a known share succeeds, and a model that answers them in any order."""

    trainset: list[Example]
    good: frozenset[str]

    @classmethod
    def make(cls, rate: float, seed: int) -> _Task:
        rng = random.Random(f"{rate} {seed}")
        questions = [f"question {index}" for index in range(_TRAINSET)]
        return cls(
            [Example(question=text, answer="yes").with_inputs("question") for text in questions],
            frozenset(text for text in questions if rng.random() < rate),
        )

    def scan_one_by_one(self) -> tuple[int, list[str]]:
        """Return how many calls the scan makes, and the questions whose answers become demos."""
        found: list[str] = []
        for calls, example in enumerate(self.trainset, start=1):
            if example["question"] in self.good:
                found.append(example["question"])

            if len(found) == _DEMOS:
                return calls, found

        return len(self.trainset), found

    def model(self, seed: int) -> ScriptedModel:
        """Return a model whose latencies are log-normal, as those of providers are."""
        rng = random.Random(seed)

        async def answer(request: Request) -> dict[str, str]:
            await asyncio.sleep(rng.lognormvariate(0.0, 0.8))
            text = request.messages[-1].text
            asked = next(line for line in text.splitlines() if line.startswith("question "))
            return {"answer": "yes" if asked in self.good else "no"}

        return ScriptedModel(answer)


def _count_calls(seeds: int) -> list[Figure]:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        by_rate = {rate: runner.run(_ratios(rate, seeds)) for rate in _RATES}

    worst = max(by_rate, key=lambda rate: span_of(by_rate[rate]).high)
    every = [ratio for ratios in by_rate.values() for ratio in ratios]
    means = ", ".join(f"{rate:g}: {_mean(ratios):.2f}" for rate, ratios in by_rate.items())
    high = span_of(every).high
    return [
        Figure(
            "P8",
            "BootstrapFewShot, calls over the scan's, worst run at any success rate",
            Span(high, min(every), high),
            "x",
            _CALLS_AIM,
            reference="one by one 1.00x",
            subject=f"{_mean(every):.2f}x mean",
            samples={f"rate_{rate:g}": ratios for rate, ratios in by_rate.items()},
            notes=(f"worst run at rate {worst:g}; mean of {seeds} runs by success rate: {means}",),
        )
    ]


async def _ratios(rate: float, seeds: int) -> list[float]:
    return [await _ratio(_Task.make(rate, seed), seed) for seed in range(seeds)]


async def _ratio(task: _Task, seed: int) -> float:
    model = task.model(seed)
    demos = await _bootstrap(Predict(SIGNATURE, client=model), task.trainset)
    calls, expected = task.scan_one_by_one()
    assert _questions(demos) == expected, "not the scan's demos"
    return model.calls / calls


def _questions(rows: Sequence[Example]) -> list[str]:
    return [row["question"] for row in rows]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
