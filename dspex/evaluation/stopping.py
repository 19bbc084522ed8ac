"""Giving up on a candidate that cannot win, before all examples are spent on it.

A candidate is run on the same examples as the one it has to beat, and after each example somebody
looks at the difference. Whoever looks after each example and stops at the first p < 0.05 stops good
candidates far more often than one time in twenty. What holds at every look at once is a bet: a
fortune of 1 is staked, a share of it on each example, on the candidate losing. If the candidate is
in truth no worse, the game is at best fair, and the chance that the fortune ever reaches 1 / alpha
is at most alpha, however often one looks and whenever one stops. That spends the error over the
whole run.

Sources. The inequality: J. Ville, "Etude critique de la notion de collectif" (1939). The game and
the size of the stakes, a predictable plug-in of the variance seen so far: I. Waudby-Smith,
A. Ramdas, "Estimating means of bounded random variables by betting", Journal of the Royal
Statistical Society B 86 (2024), sections 3 and 4. The candidate is given up when 0 leaves the
one-sided confidence sequence that the game defines.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, replace
from typing import Final

from dspex.errors import EvaluationError

__all__ = ("EarlyStop", "Standing")

_BOLDEST: Final = 0.5
"""The largest share of the fortune staked on one example."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the bet against a candidate stands after `seen` examples.

    `difference` is the mean so far. `hopeless` says that the candidate is to be given up, and stays
    once it is. `certain` says that not even the best scores on all that is left could save it.
    """

    seen: int = 0
    hopeless: bool = False
    certain: bool = False
    _: KW_ONLY
    total: float = 0.0
    log_fortune: float = 0.0
    mean: float = 0.5
    square_sum: float = 0.25

    @property
    def difference(self) -> float:
        """The mean of the differences so far; NaN before the first."""
        return self.total / self.seen if self.seen else math.nan

    @property
    def p_value(self) -> float:
        """A p-value of "no worse" that holds at every look."""
        return min(1.0, math.exp(-self.log_fortune))


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """When to give up on a candidate, from its differences to the one it has to beat.

        rule = EarlyStop(alpha=0.05, examples=len(valset))
        standing = Standing()
        for before, after in zip(incumbent_scores, candidate_scores):
            standing = rule.step(standing, after - before)
            if standing.hopeless:
                break

    Pure: the same differences in the same order always give the same answer. Read them in the
    dataset's order and not in that of completion, which favours what is quick; and have a dataset
    in random order, since the first examples have to be like the rest.

    Args:
        alpha: at most this share of candidates that are no worse than `margin` is given up.
        margin: how much better the candidate has to be; below 0: how much worse it may be.
        low: the least possible difference.
        high: the largest.
        examples: how many there are in all, if that is known: stakes are laid for that many, which
            finds more, and what is beyond all hope is noticed for certain.

    Raises:
        EvaluationError: a value is impossible; names it.
    """

    _: KW_ONLY
    alpha: float = 0.05
    margin: float = 0.0
    low: float = -1.0
    high: float = 1.0
    examples: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise EvaluationError(f"alpha is {self.alpha!r}; use a share between 0 and 1")

        if not -math.inf < self.low < self.margin < self.high < math.inf:
            raise EvaluationError(
                f"margin is {self.margin!r}, and differences lie between low={self.low!r} and "
                f"high={self.high!r}: the margin has to lie between them"
            )

        if self.examples is not None and self.examples < 1:
            raise EvaluationError(f"examples is {self.examples!r}; use a count from 1 on, or None")

    def step(self, standing: Standing, difference: float) -> Standing:
        """Return the standing after one more example; costs a few microseconds.

        Raises:
            EvaluationError: the difference is outside `low` to `high`, for which nothing holds.
        """
        if not self.low <= difference <= self.high:
            raise EvaluationError(
                f"the difference {difference!r} of example {standing.seen} is not between "
                f"low={self.low!r} and high={self.high!r}: give the range your scores can differ by"
            )

        span = self.high - self.low
        value, fair = (difference - self.low) / span, (self.margin - self.low) / span
        stake = self._stake(standing, fair)
        seen = standing.seen + 1
        mean = standing.mean + (value - standing.mean) / (seen + 1)
        log_fortune = standing.log_fortune + math.log1p(stake * (fair - value))
        total = standing.total + difference
        certain = standing.certain or self._is_lost(seen, total)
        return replace(
            standing,
            seen=seen,
            total=total,
            log_fortune=log_fortune,
            mean=mean,
            square_sum=standing.square_sum + (value - mean) ** 2,
            certain=certain,
            hopeless=standing.hopeless or certain or log_fortune >= -math.log(self.alpha),
        )

    def _stake(self, standing: Standing, fair: float) -> float:
        """Return what is staked per unit of loss, from what was seen before this example."""
        seen = standing.seen + 1
        variance = standing.square_sum / seen
        rounds = self.examples or seen * math.log1p(seen)
        wanted = math.sqrt(-2 * math.log(self.alpha) / (variance * rounds))
        # The fortune never falls below half: the worst example takes stake * (1 - fair) of it.
        return min(wanted, _BOLDEST / (1 - fair))

    def _is_lost(self, seen: int, total: float) -> bool:
        if self.examples is None:
            return False

        left = max(0, self.examples - seen)
        return total + left * self.high < self.margin * max(self.examples, seen) - 1e-9
