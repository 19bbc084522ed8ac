"""Giving up early: how often wrongly, how soon rightly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dspex.errors import EvaluationError
from dspex.evaluation.stopping import EarlyStop, Standing


def run(rule: EarlyStop, differences: Any) -> Standing:
    """Step until the candidate is given up or the examples end."""
    standing = Standing()
    for difference in differences:
        standing = rule.step(standing, float(difference))
        if standing.hopeless:
            break

    return standing


def share(
    rule: EarlyStop, chances: list[float], *, runs: int, examples: int
) -> tuple[float, float]:
    """Give the share of simulated candidates given up by the bet, and after how many examples."""
    random = np.random.default_rng(5)
    draws = random.choice([-1.0, 0.0, 1.0], p=chances, size=(runs, examples))
    ends = [run(rule, row) for row in draws]
    lost = [end.seen for end in ends if end.hopeless and not end.certain]
    return len(lost) / runs, float(np.mean(lost)) if lost else math.inf


@pytest.mark.slow
class TestSimulated:
    @pytest.mark.parametrize("chances", [[0.1, 0.8, 0.1], [0.5, 0.0, 0.5], [0.02, 0.95, 0.03]])
    @pytest.mark.parametrize("known", [True, False])
    def test_error_rate(self, chances: list[float], known: bool) -> None:
        """Of candidates as good as the other, at most alpha are given up in the whole run."""
        rule = EarlyStop(alpha=0.1, examples=150 if known else None)
        lost, _ = share(rule, chances, runs=200, examples=150)
        assert lost <= 0.1

    def test_power(self) -> None:
        """A clearly worse candidate is given up long before the end."""
        lost, after = share(EarlyStop(examples=300), [0.45, 0.45, 0.1], runs=60, examples=300)
        assert lost == 1.0
        assert after < 80

    def test_looking_at_p_each_time_would_err(self) -> None:
        """The naive rule, a t-test after each example, breaks its promise: this one is needed."""
        draws = np.random.default_rng(5).choice([-1.0, 1.0], size=(200, 150))
        sums, counts = draws.cumsum(axis=1), np.arange(1, 151)
        naive = (sums / np.sqrt(counts) < -1.645)[:, 10:].any(axis=1).mean()
        assert naive > 0.15


class TestRule:
    def test_starts_open(self) -> None:
        """Before the first example nothing is known."""
        assert not Standing().hopeless
        assert math.isnan(Standing().difference)
        assert Standing().p_value == 1.0

    def test_beyond_all_hope(self) -> None:
        """When the best on all that is left is too little, that is certain."""
        standing = run(EarlyStop(examples=10, alpha=1e-6), [-1] * 6)
        assert (standing.seen, standing.certain, standing.hopeless) == (6, True, True)

    def test_half_lost_is_not_lost(self) -> None:
        """At five of ten the rest could still make it even."""
        assert not run(EarlyStop(examples=10, alpha=1e-6), [-1] * 5).certain

    def test_stays_hopeless(self) -> None:
        """A verdict is not taken back by what comes later."""
        rule = EarlyStop(alpha=0.2)
        standing = run(rule, [-1.0] * 50)
        assert standing.hopeless
        for _ in range(50):
            standing = rule.step(standing, 1.0)

        assert standing.hopeless

    def test_margin(self) -> None:
        """A candidate that has to be better by much is given up for being equal."""
        differences = [0.0] * 200
        assert run(EarlyStop(margin=0.3), differences).hopeless
        assert not run(EarlyStop(margin=-0.3), differences).hopeless

    @given(st.lists(st.floats(-1, 1), max_size=60))
    def test_pure(self, differences: list[float]) -> None:
        """The same differences give the same standing, and no step changes an earlier one."""
        rule = EarlyStop(examples=60)
        assert run(rule, differences) == run(rule, differences)
        start = Standing()
        for difference in differences:
            rule.step(start, difference)

        assert start == Standing()

    @given(st.lists(st.floats(-1, 1), max_size=80))
    def test_never_ruined(self, differences: list[float]) -> None:
        """Whatever happens the fortune stays positive, so that the bet can go on."""
        standing = Standing()
        for difference in differences:
            standing = EarlyStop().step(standing, difference)

        assert math.isfinite(standing.log_fortune)
        assert 0 < standing.p_value <= 1

    @pytest.mark.parametrize("difference", [1.5, -1.01, math.nan])
    def test_out_of_range(self, difference: float) -> None:
        """What lies beyond the range is refused: the bound would not hold."""
        with pytest.raises(EvaluationError, match="is not between low"):
            EarlyStop().step(Standing(), difference)

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"alpha": 0}, "alpha is 0"),
            ({"alpha": 1.0}, "alpha is 1.0"),
            ({"margin": 1.0}, "margin is 1.0"),
            ({"low": 0.5}, "margin is 0.0"),
            ({"high": math.inf}, "high=inf"),
            ({"examples": 0}, "examples is 0"),
        ],
    )
    def test_impossible(self, changes: dict[str, Any], text: str) -> None:
        """Impossible settings are refused by name."""
        with pytest.raises(EvaluationError, match=text):
            EarlyStop(**changes)
