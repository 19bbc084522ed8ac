"""Demonstrations that a teacher makes: its own runs, where the metric liked the answer."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from types import NoneType
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from dspex import effects
from dspex.errors import OptimizerError
from dspex.optimizers.bootstrap_search import BootstrapSearch, DemosByPath
from dspex.optimizers.labeled import draw_labeled_demos
from dspex.optimizers.optimizer import Optimizer, SearchResult, Task
from dspex.programs.program import Program

if TYPE_CHECKING:
    from dspex.evaluation.metrics import Metric

__all__ = ("BootstrapFewShot",)

P = TypeVar("P", bound=Program)


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
        if self.metric is not None and not callable(self.metric):
            raise OptimizerError(
                f"BootstrapFewShot: metric is {self.metric!r}; give a function of (example, "
                "prediction), or None to accept every answer"
            )

        if not isinstance(cast("object", self.quality_threshold), (int, float, NoneType)):
            raise OptimizerError(
                f"BootstrapFewShot: quality_threshold is {self.quality_threshold!r}; use a number"
            )

        if self.metric is None and self.quality_threshold is not None:
            raise OptimizerError(
                f"BootstrapFewShot: quality_threshold is {self.quality_threshold!r} and there is "
                "no metric to reach it: give a metric"
            )

    async def _search(self, task: Task[P]) -> SearchResult[P]:
        search = BootstrapSearch(self, task.trainset, self._choose_teacher(task))
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

    def _fill_up(self, task: Task[P], demos: DemosByPath, accepted: frozenset[int]) -> DemosByPath:
        """Add labelled examples; as in the reference each predictor draws from the last one's."""
        left = [row for index, row in enumerate(task.trainset) if index not in accepted]
        effects.random(self.seed).shuffle(left)
        random = effects.random(self.seed)
        filled: DemosByPath = {}
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
