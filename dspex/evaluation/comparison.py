"""Two evaluations of the same examples, compared example by example.

The difference within an example is far less noisy than the difference of two means, so a pairwise
comparison sees smaller effects with the same data.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from dspex.errors import EvaluationError
from dspex.evaluation.text import rows

if TYPE_CHECKING:
    from dspex.evaluation.report import Report
    from dspex.evaluation.statistics import Interval

__all__ = ("Comparison", "Flip", "compare")


@dataclass(frozen=True, slots=True)
class Flip:
    """One example whose score changed."""

    index: int
    key: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from `before` to `after`; differences are after minus before.

    `pairs` examples count in both; `missing` count in one only, or ended in neither. `worst_case`
    and `best_case` are the difference over all examples if every missing score were the least or
    the most favourable: None where the range of scores is not known. `p_value` tests "no
    difference". `minimum_detectable` is the true difference that a run of this size finds in four
    of five cases. `flipped` are the examples that changed, the largest changes first, a thousand at
    most.
    """

    before: str
    after: str
    metric: str
    _: KW_ONLY
    pairs: int
    missing: int
    score_before: float
    score_after: float
    difference: float
    interval: Interval | None
    p_value: float
    test: str
    minimum_detectable: float | None
    worst_case: float | None
    best_case: float | None
    improved: int
    worsened: int
    flipped: tuple[Flip, ...]

    @property
    def ci95(self) -> tuple[float, float] | None:
        """The bounds of the difference's 95 % interval."""
        return None if self.interval is None else (self.interval.low, self.interval.high)

    @property
    def significant(self) -> bool:
        """Whether "no difference" is ruled out at 5 %."""
        return self.p_value < 0.05

    def __str__(self) -> str:
        interval, shown = self.interval, f"{self.difference:+.3f}"
        if interval is not None:
            shown += f"  95 % [{interval.low:+.3f}, {interval.high:+.3f}] ({interval.method})"

        pairs = [
            ("score", f"{self.score_before:.3f} -> {self.score_after:.3f}"),
            ("difference", shown),
            ("test", f"p {_p_text(self.p_value)} ({self.test}): {self._verdict()}"),
            ("examples", f"{self.pairs:,} in both{self._missing_text()}"),
            ("changed", f"{self.improved:,} better, {self.worsened:,} worse"),
        ]
        if self.minimum_detectable is not None:
            text = f"differences from {self.minimum_detectable:.3f} on, four times in five"
            pairs.append(("this size finds", text))

        if self.flipped:
            pairs.append(("e.g.", ", ".join(_flip_text(flip) for flip in self.flipped[:5])))

        return rows(f"{self.before} -> {self.after}  by {self.metric}", pairs)

    def _verdict(self) -> str:
        if not self.significant:
            return "no difference shown"

        return "better" if self.difference > 0 else "worse"

    def _missing_text(self) -> str:
        if not self.missing:
            return ""

        text = f", {self.missing:,} missing"
        if self.worst_case is None:
            return text

        return (
            f"{text}: over all it is {self.worst_case:+.3f} at worst, {self.best_case:+.3f} at best"
        )


def _p_text(p_value: float) -> str:
    return f"= {p_value:.2g}" if p_value >= 0.0001 else "< 0.0001"


def _flip_text(flip: Flip) -> str:
    return f"{flip.index}: {flip.before:g} -> {flip.after:g}"


def compare(before: Report, after: Report, *, seed: int = 0) -> Comparison:
    """Compare two reports over the examples that count in both.

    Args:
        before: the evaluation to compare with.
        after: the evaluation of interest.
        seed: of the permutation test, which right-or-wrong scores do not need.

    Raises:
        EvaluationError: they were scored by different metrics, or share no example.
    """
    if before.metric != after.metric:
        raise EvaluationError(
            f"cannot compare scores of different metrics: {before.metric} and {after.metric}"
        )

    if before.failure_score != after.failure_score:
        raise EvaluationError(
            "cannot compare: failures count "
            f"{_worth_text(before)} in one report and {_worth_text(after)} in the other"
        )

    # Here and not above: numpy and scipy take half a second to load.
    from dspex.evaluation.paired import Pairing

    pairing = Pairing(before, after)
    if not pairing.pairs:
        raise EvaluationError(
            "cannot compare: the reports share no example that counts in both; were they made from "
            "the same examples in the same order?"
        )

    return Comparison(before.program, after.program, before.metric, **pairing.facts(seed))


def _worth_text(report: Report) -> str:
    return "nothing" if report.failure_score is None else f"{report.failure_score:g}"
