"""Demonstrations that a teacher makes: its own runs, where the metric liked the answer."""

from __future__ import annotations

import hashlib
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias, TypeVar

from dspex import effects
from dspex.effects import Trace, TraceEntry
from dspex.errors import ErrorKind, OptimizerError, ProviderError
from dspex.evaluation.example import ExampleRun, run_example
from dspex.evaluation.metrics import Metric, PreparedMetric
from dspex.evaluation.outcome import Status
from dspex.optimizers.labeled import draw_labeled_demos
from dspex.optimizers.optimizer import Optimizer, SearchResult, Task, emit
from dspex.optimizers.window import Attempt, Decided, Found, Scan, Verdict, scan
from dspex.programs.program import Program
from dspex.signatures.example import Example
from dspex.telemetry.events import BOOTSTRAP_EXAMPLE
from supervision.deadline import Deadlines

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("BootstrapFewShot",)

P = TypeVar("P", bound=Program)

_MAX_RUNS: Final = 3
"""How often an example is run, at most, while it is unavailable."""

_PAUSE_S: Final = 2.0
"""Before an unavailable example is run again, and twice that before the last time."""

_SPENT: Final = frozenset({ErrorKind.BUDGET, ErrorKind.QUOTA_EXHAUSTED})

_Demos: TypeAlias = dict[str, list[Example]]


@dataclass(frozen=True, slots=True)
class BootstrapFewShot(Optimizer):
    """Runs a teacher over the trainset and keeps the traces that the metric accepts as demos.

    The examples are taken in order until enough have succeeded; each predictor then gets the demos
    of its own calls, and labelled examples that were not bootstrapped fill up the rest. While an
    example is run, it is not among the teacher's own demos. The teacher is the one given to
    `compile`, else the student; unless it has been compiled it first gets `max_labeled_demos`
    labelled demos.

    Many examples run at the same time, and yet the demos are those of the scan one by one; at most
    half as many calls again are made (see `window`), and the provenance counts them. The algorithm
    is DSPy's (O. Khattab et al., "DSPy: compiling declarative language model calls into
    self-improving pipelines", ICLR 2024, section 4).

    Args:
        metric: what makes a trace good; None accepts every answer. It always gets the trace if it
            takes a third argument.
        max_bootstrapped_demos: how many examples to bootstrap, and demos from them per predictor.
        max_labeled_demos: how many demos a predictor has when labelled ones have filled up.
        max_rounds: how often an example is tried. From the second time on the teacher samples at
            temperature 1, and its requests are numbered so that no cache repeats the first answer.
        quality_threshold: the least score that is accepted; None accepts what is true.
        max_errors: so many errors of program or metric end it, and so many unavailable examples.
        max_concurrency: how many examples run at the same time at most.
        timeout_s: what one run may take; None leaves it to the deadlines of the model calls.
        seed: of the draws of labelled demos.
    """

    takes: ClassVar[frozenset[str]] = frozenset({"teacher"})

    metric: Metric | None = None
    _: KW_ONLY
    max_bootstrapped_demos: int = 4
    max_labeled_demos: int = 16
    max_rounds: int = 1
    quality_threshold: float | None = None
    max_errors: int = 10
    max_concurrency: int = 100
    timeout_s: float | None = None
    seed: int = 0

    __str__ = Optimizer.__str__

    def __post_init__(self) -> None:
        self._require("max_bootstrapped_demos", at_least=0)
        self._require("max_labeled_demos", at_least=0)
        for name in ("max_rounds", "max_errors", "max_concurrency"):
            self._require(name, at_least=1)

        self._require_seconds("timeout_s")
        if self.metric is None and self.quality_threshold is not None:
            raise OptimizerError(
                f"BootstrapFewShot: quality_threshold is {self.quality_threshold!r} and there is "
                "no metric to reach it: give a metric"
            )

    async def _search(self, task: Task[P]) -> SearchResult[P]:
        search = _Search(self, task.trainset, self._choose_teacher(task))
        await search.run()
        demos = search.demos()
        filled = self._fill_up(task, demos, search.accepted)
        return SearchResult(
            task.student.with_demos(filled),
            stop_reason=search.stop_reason,
            candidates=(
                {
                    "bootstrapped": {path: len(rows) for path, rows in demos.items()},
                    "labeled": {
                        path: len(rows) - len(demos[path]) for path, rows in filled.items()
                    },
                },
            ),
            scores=(None,),
            details=search.details(),
        )

    def _choose_teacher(self, task: Task[P]) -> Program:
        teacher = task.student if task.teacher is None else task.teacher
        _check_alike(task.student, teacher)
        if teacher.provenance is None and self.max_labeled_demos:
            demos = draw_labeled_demos(teacher, task.trainset, self.max_labeled_demos, self.seed)
            return teacher.with_demos(demos)

        return teacher

    def _fill_up(self, task: Task[P], demos: _Demos, accepted: frozenset[int]) -> _Demos:
        """Add labelled examples; as in the reference each predictor draws from the last one's."""
        left = [row for index, row in enumerate(task.trainset) if index not in accepted]
        effects.random(self.seed).shuffle(left)
        random = effects.random(self.seed)
        filled: _Demos = {}
        for path in task.student.named_predictors():
            kept = demos[path]
            left = random.sample(left, max(0, min(self.max_labeled_demos - len(kept), len(left))))
            filled[path] = kept + left

        return filled


def _check_alike(student: Program, teacher: Program) -> None:
    ours, theirs = student.named_predictors(), teacher.named_predictors()
    if not ours:
        raise OptimizerError(f"{student!r} has no predictor that could take demos")

    if list(ours) != list(theirs):
        raise OptimizerError(
            f"the teacher's predictors are {list(theirs)}, the student's {list(ours)}: a teacher "
            "has to be built like its student"
        )

    for path, predictor in ours.items():
        other = theirs[path].signature
        if set(predictor.signature.fields) != set(other.fields):
            raise OptimizerError(
                f"predictor {path!r} has the fields {list(other.fields)} in the teacher and "
                f"{list(predictor.signature.fields)} in the student: demos would not fit"
            )


@dataclass(frozen=True, slots=True)
class _Try:
    """One attempt: how the run ended, what each predictor was asked and said, and how often."""

    run: ExampleRun
    calls: tuple[tuple[str, Example], ...]
    runs: int


class _Search:
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

        return f"end of the trainset: found {len(self.accepted)} of the demos wanted"

    def demos(self) -> _Demos:
        """Return the bootstrapped demos by predictor path, in the order of the examples."""
        found: _Demos = {path: [] for path in self._teacher.named_predictors()}
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
            trace = Trace()
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

            await effects.sleep(_PAUSE_S * runs)

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
        by_path: _Demos = {}
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
