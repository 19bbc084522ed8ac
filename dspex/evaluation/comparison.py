"""Two evaluations of the same examples, compared example by example.

The difference within an example is far less noisy than the difference of two means, so a pairwise
comparison sees smaller effects with the same data.
"""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Final

from dspex.errors import EvaluationError
from dspex.evaluation.reports import comparison_page, write_text
from dspex.evaluation.text import count, rows

if TYPE_CHECKING:
    from os import PathLike

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
    most. `clusters` is the number of clusters the pairs are in, where a report knows of them:
    `stderr`, `interval` and the test then take each cluster for one observation.
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
    stderr: float | None
    interval: Interval | None
    p_value: float
    test: str
    minimum_detectable: float | None
    worst_case: float | None
    best_case: float | None
    improved: int
    worsened: int
    flipped: tuple[Flip, ...]
    clusters: int | None = None

    @property
    def ci95(self) -> tuple[float, float] | None:
        """The bounds of the difference's 95 % interval."""
        return None if self.interval is None else (self.interval.low, self.interval.high)

    @property
    def significant(self) -> bool:
        """Whether "no difference" is ruled out at 5 %."""
        return self.p_value < 0.05

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; the flipped examples as [index, key, before, after]."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        return plain | {
            "ci95": None if self.ci95 is None else list(self.ci95),
            "ci95_method": None if self.interval is None else self.interval.method,
            "significant": self.significant,
            "flipped": [[flip.index, flip.key, flip.before, flip.after] for flip in self.flipped],
        }

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """Return `to_dict` as text, and write it to `path` if there is one."""
        text = json.dumps(self.to_dict(), indent=2)
        if path is not None:
            write_text(path, text)

        return text

    def to_html(self, path: str | PathLike[str]) -> None:
        """Write a page that needs nothing but itself."""
        write_text(path, comparison_page(self))

    def __str__(self) -> str:
        interval, shown = self.interval, f"{self.difference:+.3f}"
        if interval is not None:
            shown += f"  95 % [{interval.low:+.3f}, {interval.high:+.3f}] ({interval.method})"

        pairs = [
            ("score", f"{self.score_before:.3f} -> {self.score_after:.3f}"),
            ("difference", shown),
            ("test", f"p {self.p_text} ({self.test}): {self.verdict}"),
            ("examples", f"{self.pairs:,} in both{self._clusters_text()}{self._missing_text()}"),
            ("changed", f"{self.improved:,} better, {self.worsened:,} worse"),
        ]
        if self.minimum_detectable is not None:
            text = f"differences from {self.minimum_detectable:.3f} on, four times in five"
            pairs.append(("this size finds", text))

        if self.flipped:
            pairs.append(("e.g.", ", ".join(_flip_text(flip) for flip in self.flipped[:5])))

        return rows(f"{self.before} -> {self.after}  by {self.metric}", pairs)

    @property
    def p_text(self) -> str:
        """The p-value with its sign, as it is printed."""
        return f"= {self.p_value:.2g}" if self.p_value >= 0.0001 else "< 0.0001"

    @property
    def verdict(self) -> str:
        """The answer in words: "better", "worse" or "no difference shown"."""
        if not self.significant:
            return "no difference shown"

        return "better" if self.difference > 0 else "worse"

    def _clusters_text(self) -> str:
        return "" if self.clusters is None else f", {count(self.clusters, 'cluster')}"

    def _missing_text(self) -> str:
        if not self.missing:
            return ""

        text = f", {self.missing:,} missing"
        if self.worst_case is None:
            return text

        return (
            f"{text}: over all it is {self.worst_case:+.3f} at worst, {self.best_case:+.3f} at best"
        )


_PLAIN: Final = tuple(
    name for name in Comparison.__dataclass_fields__ if name not in ("_", "interval", "flipped")
)


def _flip_text(flip: Flip) -> str:
    return f"{flip.index}: {flip.before:.3g} -> {flip.after:.3g}"


def compare(before: Report, after: Report, *, seed: int = 0) -> Comparison:
    """Compare two reports over the examples that count in both.

    Args:
        before: the evaluation to compare with.
        after: the evaluation of interest.
        seed: of the permutation test and the bootstrap, which right-or-wrong scores do not need.

    Raises:
        EvaluationError: they were scored by different metrics, or share no example.
    """
    if before.metric != after.metric:
        raise EvaluationError(
            f"cannot compare scores of different metrics: {before.metric} and {after.metric}"
        )

    _check_epochs(before, after)
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


def _check_epochs(before: Report, after: Report) -> None:
    once = before.epochs == after.epochs == 1
    # How often k of n epochs pass depends on n; a mean, and the estimate of pass@k, do not.
    counted_out = before.epochs != after.epochs and before.reduce.startswith("at_least")
    if not once and (before.reduce != after.reduce or counted_out):
        raise EvaluationError(
            f"cannot compare: scores are {before.reduce} over {count(before.epochs, 'epoch')} in "
            f"one report and {after.reduce} over {count(after.epochs, 'epoch')} in the other"
        )


def _worth_text(report: Report) -> str:
    return "nothing" if report.failure_score is None else f"{report.failure_score:g}"
