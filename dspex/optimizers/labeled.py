"""Labelled examples as demonstrations, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from dspex import effects
from dspex.optimizers.optimizer import Optimizer, SearchResult, Task
from dspex.programs.program import Program

if TYPE_CHECKING:
    from dspex.signatures.example import Example

__all__ = ("LabeledFewShot", "draw_labeled_demos")

P = TypeVar("P", bound=Program)


@dataclass(frozen=True, slots=True)
class LabeledFewShot(Optimizer):
    """Gives each predictor `k` examples of the trainset as they are. Makes no calls.

    Args:
        k: how many; all of a smaller trainset.
        seed: of the draw.
    """

    k: int = 16
    seed: int = 0

    __str__ = Optimizer.__str__

    def __post_init__(self) -> None:
        self._require("k", at_least=0)

    async def _search(self, task: Task[P]) -> SearchResult[P]:
        demos = draw_labeled_demos(task.student, task.trainset, self.k, self.seed)
        return SearchResult(
            task.student.with_demos(demos),
            stop_reason=f"drew {min(self.k, len(task.trainset))} labelled demos per predictor",
            candidates=({"demos": {path: len(rows) for path, rows in demos.items()}},),
            scores=(None,),
        )


def draw_labeled_demos(
    program: Program, examples: tuple[Example, ...], k: int, seed: int
) -> dict[str, list[Example]]:
    """Return `k` of `examples`, or all, for each predictor by path; each draws anew."""
    random = effects.random(seed)
    size = min(k, len(examples))
    return {path: random.sample(examples, size) for path in program.named_predictors()}
