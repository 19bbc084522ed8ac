"""The scan behind `BootstrapFewShot`: a teacher run over the trainset, its good runs kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dspex import effects
from dspex.errors import ErrorKind, OptimizerError, ProviderError
from dspex.evaluation.example import ExampleRun, run_example
from dspex.evaluation.metrics import PreparedMetric
from dspex.evaluation.outcome import Status
from dspex.optimizers.optimizer import emit
from dspex.optimizers.trace import OrderedTrace
from dspex.optimizers.window import Attempt, Decided, Found, Scan, Verdict, scan
from dspex.signatures.example import Example
from dspex.telemetry.events import BOOTSTRAP_EXAMPLE
from supervision.deadline import Deadlines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.effects import Trace, TraceEntry
    from dspex.optimizers.bootstrap import BootstrapFewShot
    from dspex.programs.program import Program

__all__ = ("BootstrapSearch", "DemosByPath")

DemosByPath: TypeAlias = dict[str, list[Example]]
"""Demonstrations of each predictor, by its path."""

_MAX_RUNS: Final = 3
"""How often an example is run, at most, while it is unavailable."""

_PAUSE_S: Final = 2.0
"""Before an unavailable example is run again, and twice that before the last time."""

_MAX_PAUSE_S: Final = 60.0
"""A provider or a breaker that asks for a longer pause is not waited for."""

_SPENT: Final = frozenset({ErrorKind.BUDGET, ErrorKind.QUOTA_EXHAUSTED})


@dataclass(frozen=True, slots=True)
class _Try:
    """One attempt: how the run ended, what each predictor was asked and said, and how often."""

    run: ExampleRun
    calls: tuple[tuple[str, Example], ...]
    runs: int


class BootstrapSearch:
    """The scan over one trainset."""

    def __init__(
        self, settings: BootstrapFewShot, examples: tuple[Example, ...], teacher: Program
    ) -> None:
        self._settings = settings
        self._examples = examples
        self._teacher = teacher
        self._metric = (
            None if settings.metric is None else PreparedMetric(settings.metric, fill_trace=True)
        )
        self._deadlines = Deadlines()
        self._decided: list[Decided[_Try]] = []
        self._policy = Scan(
            len(examples),
            target=settings.max_bootstrapped_demos,
            rounds=settings.max_rounds,
            max_in_flight=settings.max_concurrency,
        )
        self._errors = 0
        self._set_aside = 0
        self._spent: str | None = None

    async def run(self) -> None:
        """Scan until enough examples have succeeded, or the trainset or a budget is used up."""
        try:
            await scan(self._policy, self._attempt, name="bootstrap", on_decided=self._note_decided)
        except _BudgetSpent as exc:
            self._spent = str(exc)
        finally:
            self._deadlines.close()

    @property
    def accepted(self) -> frozenset[int]:
        """The examples that succeeded."""
        return frozenset(
            decided.index for decided in self._decided if decided.verdict is Verdict.SUCCESS
        )

    @property
    def stop_reason(self) -> str:
        """Why the scan ended."""
        if self._spent is not None:
            return f"no further call is possible: {self._spent}"

        if len(self.accepted) >= self._settings.max_bootstrapped_demos:
            return f"found {len(self.accepted)} demos"

        wanted = self._settings.max_bootstrapped_demos
        return f"end of the trainset: found {len(self.accepted)} of {wanted} demos"

    def demos(self) -> DemosByPath:
        """Return the bootstrapped demos by predictor path, in the order of the examples."""
        found: DemosByPath = {path: [] for path in self._teacher.named_predictors()}
        for decided in self._decided:
            if decided.verdict is Verdict.SUCCESS:
                for path, demo in self._one_per_predictor(decided):
                    found[path].append(demo)

        limit = self._settings.max_bootstrapped_demos
        return {path: rows[:limit] for path, rows in found.items()}

    def details(self) -> dict[str, Any]:
        """Return what the provenance remembers."""
        attempts = self._policy.sequential_attempts
        return {
            "accepted": sorted(self.accepted),
            "attempts": attempts,
            "extra_attempts": self._policy.launched - attempts,
            "errors": self._errors,
            "unavailable": self._set_aside,
        }

    # --- one attempt

    async def _attempt(self, attempt: Attempt) -> Found[_Try]:
        example = self._examples[attempt.index]
        teacher = _without_demo(self._teacher, example)
        if attempt.round:
            teacher = teacher.with_config(temperature=1.0)

        paths = {id(part): path for path, part in teacher.named_predictors().items()}
        runs = 0
        while True:
            trace = OrderedTrace()
            run = await run_example(
                teacher,
                example,
                self._metric,
                timeout_s=self._settings.timeout_s,
                deadlines=self._deadlines,
                trace=trace,
                sample=attempt.round,
            )
            runs += 1
            if run.status is not Status.UNAVAILABLE or runs == _MAX_RUNS or _is_spent(run.error):
                calls = tuple(_demos_of(trace, paths))
                return Found(self._judge(run), _Try(run, calls, runs))

            await effects.sleep(max(_PAUSE_S * runs, _asked_to_wait_s(run.error)))

    def _judge(self, run: ExampleRun) -> Verdict:
        if run.status is Status.UNAVAILABLE:
            return Verdict.SET_ASIDE

        if run.score is None:
            return Verdict.FAILURE

        threshold = self._settings.quality_threshold
        value = run.score.value
        good = bool(value) if threshold is None else value >= threshold
        return Verdict.SUCCESS if good else Verdict.FAILURE

    # --- results, in the order of the examples

    def _note_decided(self, decided: Decided[_Try]) -> None:
        self._decided.append(decided)
        last = decided.attempts[-1].value.run
        emit(
            BOOTSTRAP_EXAMPLE,
            {},
            {"index": decided.index, "accepted": decided.verdict is Verdict.SUCCESS},
        )
        if decided.verdict is Verdict.SET_ASIDE:
            self._set_aside += 1
            if _is_spent(last.error):
                raise _BudgetSpent(last.error)

            self._check_limit(self._set_aside, "could not be run", decided.index, last.error)

        for found in decided.attempts:
            run = found.value.run
            if run.status is Status.FAILED:
                self._errors += 1
                self._check_limit(
                    self._errors, f"failed in the {run.stage}", decided.index, run.error
                )

    def _check_limit(self, count: int, what: str, index: int, error: BaseException | None) -> None:
        limit = self._settings.max_errors
        if count >= limit:
            raise OptimizerError(
                f"trainset[{index}] {what}: {type(error).__name__}: {error}; with it that happened "
                f"{count} times (max_errors={limit})"
            ) from error

    def _one_per_predictor(self, decided: Decided[_Try]) -> list[tuple[str, Example]]:
        """Return one demo per predictor: of several calls the last, or as often an earlier one."""
        by_path: DemosByPath = {}
        for path, demo in decided.attempts[-1].value.calls:
            by_path.setdefault(path, []).append(demo)

        chosen: list[tuple[str, Example]] = []
        for path, demos in by_path.items():
            demo = demos[-1]
            if len(demos) > 1:
                random = effects.random(_seed_of(self._settings.seed, decided.index, path))
                demo = random.choice(demos[:-1]) if random.random() < 0.5 else demo

            chosen.append((path, demo))

        return chosen


class _BudgetSpent(Exception):
    """Ends a scan that no call can follow."""


def _is_spent(error: BaseException | None) -> bool:
    return isinstance(error, ProviderError) and error.data.kind in _SPENT


def _asked_to_wait_s(error: BaseException | None) -> float:
    wanted = error.data.retry_after_s if isinstance(error, ProviderError) else None
    return min(wanted or 0.0, _MAX_PAUSE_S)


def _seed_of(*parts: object) -> int:
    text = ":".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _without_demo(teacher: Program, example: Example) -> Program:
    """Return the teacher as one that has not seen the answer."""
    changed: Mapping[str, list[Example]] = {
        path: [demo for demo in predictor.demos if demo != example]
        for path, predictor in teacher.named_predictors().items()
        if example in predictor.demos
    }
    return teacher.with_demos(changed) if changed else teacher


def _demos_of(trace: Trace, paths: Mapping[int, str]) -> list[tuple[str, Example]]:
    """Return the calls of a trace as demos; of programs made on the fly there is no path."""
    return [
        (paths[id(entry.predictor)], _demo(entry))
        for entry in trace.entries
        if id(entry.predictor) in paths
    ]


def _demo(entry: TraceEntry) -> Example:
    prediction = {name: entry.prediction[name] for name in entry.prediction}
    return Example({**entry.inputs, **prediction}).with_inputs(*entry.inputs)
