"""Evaluate a program, optimize it, evaluate it again, and say honestly what that was worth.

    python examples/quickstart.py                  # offline, about half a minute
    DSPEX_DEFAULT=provider/model python examples/quickstart.py --held-out 200

The task: which of six areas of Python's standard library does a text of its documentation belong
to? The texts are those of the interpreter that runs this. Without DSPEX_DEFAULT the model is the
offline sandbox, in a second process behind real HTTP, with a realistic latency and some per cent of
rate limits, server errors and cut connections. It reads demonstrations and cannot reason: a
stand-in classifier, not a language model. With DSPEX_DEFAULT (and the provider's key and base URL
in the environment) the same run asks a real model.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

# Run as a file, a script sees its own folder and not the project's.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dspex
from dspex import effects
from dspex.sandbox import Faults, Latency, SandboxServer, Script
from dspex.usage import UsageMeter
from examples.stdlib_docs import AREAS, Record, Split, load

DEMOS = 24
SEEDS = (0, 1, 2)
CEILING_EXAMPLES = 200
METRIC = dspex.exact_match("area")

OFFLINE = Script(
    latency=Latency(median_s=0.3, sigma=0.4),
    faults=Faults(rate_limited=0.02, server_error=0.01, reset=0.01),
    retry_after_s=0.5,
)


class Area(dspex.Signature):
    """Say which area of Python's standard library the text documents."""

    text: str = dspex.InputField(desc="a name and what its documentation says of it")
    area: Literal[AREAS] = dspex.OutputField()  # type: ignore[valid-type]  # the areas are data


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line chooses."""

    held_out: int
    concurrency: int
    ceiling: bool


@dataclass(frozen=True, slots=True)
class Setting:
    """An open runtime, how to call its model, and the sandbox behind it if there is one."""

    runtime: dspex.Runtime
    description: str
    server: SandboxServer | None


@dataclass(frozen=True, slots=True)
class Result:
    """What a run has found."""

    before: dspex.Report
    after: dspex.Report
    drawn: tuple[dspex.Report, ...]
    optimized: dspex.Program


def example(record: Record) -> dspex.Example:
    """Turn a record into an example."""
    return dspex.Example(text=record.text, area=record.area).with_inputs("text")


@asynccontextmanager
async def open_setting() -> AsyncIterator[Setting]:
    """Open a runtime on the configured model, or on a sandbox of its own."""
    if name := os.environ.get("DSPEX_DEFAULT"):
        async with dspex.Runtime.from_env() as runtime:
            yield Setting(runtime, name, None)

        return

    async with SandboxServer.start(script=OFFLINE) as server:
        provider = dspex.ProviderSettings(
            base_url=server.base_url,
            input_usd_per_million_tokens=0.15,
            output_usd_per_million_tokens=0.60,
        )
        async with dspex.Runtime(
            default=f"sandbox/{server.model}", providers={"sandbox": provider}
        ) as runtime:
            description = f"{server.model}: a stand-in classifier, not a language model"
            yield Setting(runtime, description, server)


async def evaluate(
    name: str, program: dspex.Program, held_out: Sequence[dspex.Example], options: Options
) -> dspex.Report:
    """Evaluate one program and print its row."""
    report = await dspex.evaluate(
        program, held_out, METRIC, max_concurrency=options.concurrency, progress=False
    )
    if math.isnan(report.score):
        raise SystemExit(f"no example could be scored; is the model reachable?\n\n{report}")

    counts = report.counts
    scored = counts.scored + counts.failed
    print(
        f"  {name:<34} {report.score:6.1%}  {bounds(report.ci95)}   "
        f"{scored:,} of {counts.total:,} in {report.duration_s:.1f} s",
        flush=True,
    )
    return report


def bounds(interval: tuple[float, float] | None) -> str:
    """Show an interval, or that there is none."""
    return "  --  " if interval is None else f"[{interval[0]:.1%}, {interval[1]:.1%}]"


def baseline(name: str, score: float) -> None:
    """Print the row of something that calls no model."""
    print(f"  {name:<34} {score:6.1%}")


def random_demos(train: Sequence[dspex.Example], seed: int) -> list[dspex.Example]:
    """Draw as many labelled examples as the optimized program may show."""
    return random.Random(seed).sample(list(train), DEMOS)


async def run(options: Options) -> Result:
    """Run the whole comparison, print it, and return its reports."""
    began = time.perf_counter()
    split = load()
    train = [example(record) for record in split.train]
    held_out = [example(record) for record in split.held_out][: options.held_out]
    describe_task(split, len(held_out), time.perf_counter() - began)
    meter = UsageMeter()
    async with open_setting() as setting:
        with effects.scope(meter=meter):
            result = await measure(setting, split, train, held_out, options)

        await account(setting, meter.total)
        print(f"time      {time.perf_counter() - began:.0f} s in all")
        return result


async def measure(
    setting: Setting,
    split: Split,
    train: Sequence[dspex.Example],
    held_out: Sequence[dspex.Example],
    options: Options,
) -> Result:
    """Evaluate, optimize, evaluate again, and print each row as it comes."""
    print(f"model     {setting.description}")
    if setting.server is not None:
        print(
            "          in a second process over HTTP; median latency 0.3 s; of 100 requests it "
            "refuses 2,\n          fails 1 and cuts 1"
        )

    print(f"\n  {'program':<34} {'score':>6}  {'95 % interval':<16}   held-out texts")
    baseline("chance", 1 / len(AREAS))
    baseline("majority area", majority(split))
    student = dspex.Predict(Area).with_config(temperature=0.0)
    before = await evaluate("zero-shot", student, held_out, options)
    drawn = [
        await evaluate(
            f"{DEMOS} random labelled demos, seed {seed}",
            student.with_demos(random_demos(train, seed)),
            held_out,
            options,
        )
        for seed in SEEDS
    ]
    optimizer = dspex.BootstrapFewShot(
        metric=METRIC, max_bootstrapped_demos=16, max_labeled_demos=DEMOS
    )
    optimized = await optimizer.compile(student, trainset=train)
    after = await evaluate("BootstrapFewShot", optimized, held_out, options)
    if options.ceiling:
        await evaluate(
            f"ceiling: all {len(train):,} as demos",
            student.with_demos(train),
            held_out[:CEILING_EXAMPLES],
            options,
        )

    conclude(before, after, drawn, optimized)
    return Result(before, after, tuple(drawn), optimized)


def describe_task(split: Split, held_out: int, took_s: float) -> None:
    """Print what is about to be done."""
    print("dspex: evaluate, optimize, evaluate again\n")
    print(f"task      text of Python's documentation -> one of {len(AREAS)} areas")
    print(
        f"data      {len(split.train):,} texts to learn from, {held_out:,} held out; no class and "
        f"no module's\n          functions are on both sides (built in {took_s:.1f} s)"
    )


def majority(split: Split) -> float:
    """Return the score of always giving the area that is most common in training."""
    (most_common, _), *_ = Counter(record.area for record in split.train).most_common(1)
    return sum(record.area == most_common for record in split.held_out) / len(split.held_out)


def conclude(
    before: dspex.Report,
    after: dspex.Report,
    drawn: Sequence[dspex.Report],
    optimized: dspex.Program,
) -> None:
    """Print the comparison, and how the gain stands to random demonstrations."""
    _, _, compared = str(dspex.compare(before, after)).partition("\n")
    print(f"\nzero-shot -> BootstrapFewShot, by {METRIC}\n{compared}")
    mean = sum(report.score for report in drawn) / len(drawn)
    gains = [dspex.compare(report, after) for report in drawn]
    better = sum(gain.significant and gain.difference > 0 for gain in gains)
    worse = sum(gain.significant and gain.difference < 0 for gain in gains)
    print(
        f"\nAny demonstration helps a reader of demonstrations, so the gain counts from "
        f"{DEMOS} random ones:\nthe mean of {len(drawn)} draws is {mean:.1%}, BootstrapFewShot is "
        f"at {after.score:.1%} ({after.score - mean:+.1%})."
    )
    print(f"{verdict(better, worse, len(drawn))}\n")
    provenance = optimized.provenance
    assert provenance is not None
    shown = sum(len(predictor.demos) for predictor in optimized.named_predictors().values())
    print(
        f"optimizer {provenance.calls:,} calls; {provenance.stop_reason}; with labelled texts to "
        f"fill up it shows {shown}"
    )


def verdict(better: int, worse: int, draws: int) -> str:
    """Say in words what the paired comparisons with the random draws show."""
    if better == draws:
        return f"It beats each of the {draws} draws (p < 0.05, paired)."

    if worse == draws:
        return (
            f"Each of the {draws} draws beats it (p < 0.05, paired): here the optimizer did harm."
        )

    return (
        f"Paired, it is better than {better} of the {draws} draws and worse than {worse} "
        "(p < 0.05): on this model\nchoosing demonstrations by success is not clearly better than "
        "drawing them."
    )


async def account(setting: Setting, used: dspex.Usage) -> None:
    """Print what was used and paid, and what the layer below absorbed."""
    ((name, endpoint),) = setting.runtime.statistics().endpoints.items()
    given_up = endpoint.calls - endpoint.succeeded - endpoint.failed
    print(
        f"calls     {endpoint.calls:,} to {name}: {endpoint.succeeded:,} answered, "
        f"{endpoint.failed:,} failed, {given_up:,} no longer needed"
    )
    print(f"absorbed  {endpoint.retries:,} retries, {endpoint.breaker_trips} breaker trips")
    if setting.server is not None:
        counted = faults(await setting.server.statistics())
        print(f"          by its own count the server did: {counted}")

    tokens = f"{used.input_tokens:,} tokens in, {used.output_tokens:,} out"
    print(f"cost      {price(used, real=setting.server is None)} for {tokens}")


def price(used: dspex.Usage, *, real: bool) -> str:
    """Say what the run cost, or would have."""
    if used.cost_usd is None:
        return "unknown (set the provider's prices to see it)"

    return f"${used.cost_usd:.2f}" + ("" if real else ", had a small hosted model answered,")


def faults(statistics: dict[str, Any]) -> str:
    """Name what the sandbox server did to its callers, by its own count."""
    injected = {name: count for name, count in statistics["faults"].items() if count}
    words = (f"{count:,} {name.replace('_', ' ')}" for name, count in sorted(injected.items()))
    return ", ".join(words) or "nothing"


def parse(argv: Sequence[str]) -> Options:
    """Read the command line."""
    offline = "DSPEX_DEFAULT" not in os.environ
    parser = argparse.ArgumentParser(description="Evaluate, optimize, evaluate again.")
    parser.add_argument("--held-out", type=int, default=900, help="texts to evaluate on")
    parser.add_argument(
        "--concurrency", type=int, default=1_000 if offline else 100, help="calls in flight"
    )
    parser.add_argument(
        "--ceiling",
        action=argparse.BooleanOptionalAction,
        default=offline,
        help="also show the whole training set as demos (a very long prompt)",
    )
    chosen = parser.parse_args(argv)
    return Options(chosen.held_out, chosen.concurrency, chosen.ceiling)


if __name__ == "__main__":
    options = parse(sys.argv[1:])
    dspex.run(lambda: run(options))
