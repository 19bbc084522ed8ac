"""P2: what `evaluate` of a ChainOfThought with a metric costs per example over the bare loop.

One model call per example, no latency, so that nothing but our own work is in the figure: pulling
the example, its supervised task and scope, the prompt, the call, reading the fields, the metric,
the outcome and the report.
"""

from __future__ import annotations

from benchmarks.figures import Aim, Figure
from benchmarks.measuring import Cost, Pairs, interleave, measure, span_of
from benchmarks.programs import chain_of_thought, examples, open_runtime
from benchmarks.reference import bare_caller, bare_calls
from benchmarks.settings import Setting
from dspex.evaluation.evaluator import evaluate
from dspex.evaluation.metrics import exact_match

__all__ = ("measure_aim",)

_CONCURRENCY = (64, 1_000)
_EXAMPLES = 4_000
_AIM = Aim("<=", 1.5, first_step=2.0)


async def measure_aim(setting: Setting) -> list[Figure]:
    """Measure P2 at a low and at a high number of examples in flight."""
    return [_figure(in_flight, await _measure(setting, in_flight)) for in_flight in _CONCURRENCY]


def _figure(in_flight: int, pairs: Pairs) -> Figure:
    return Figure(
        "P2",
        f"evaluate ChainOfThought, CPU per example, {in_flight:,} in flight",
        pairs.ratio,
        "x",
        _AIM,
        reference=f"bare aiohttp {span_of(pairs.reference).median:.0f} us",
        subject=f"{span_of(pairs.subject).median:.0f} us",
        samples={"reference_us": pairs.reference, "subject_us": pairs.subject},
    )


async def _measure(setting: Setting, in_flight: int) -> Pairs:
    count, model = setting.scaled(_EXAMPLES), setting.server.model
    program, metric = chain_of_thought(), exact_match("answer")
    async with (
        bare_caller(setting.server.base_url(0.0)) as bare,
        open_runtime(setting, 0.0),
    ):

        async def reference(_: int) -> Cost:
            return await bare_calls(bare, model, calls=count, in_flight=in_flight)

        async def subject(number: int) -> Cost:
            dataset = examples(count, name=f"{in_flight}, {number}")  # new questions: no cache hit

            async def run() -> None:
                report = await evaluate(
                    program, dataset, metric, max_concurrency=in_flight, progress=False
                )
                assert report.score == 1.0, report
                assert report.cache_hits == 0, report

            return await measure(count, run)

        return await interleave(
            reference, subject, pairs=setting.pairs, value=lambda cost: cost.cpu_us_per_call
        )
