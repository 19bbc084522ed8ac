"""The tests and intervals of a paired comparison, against figures known otherwise."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from dspex.evaluation.paired import bonett_price, mcnemar, minimum_detectable, permutation


def differences(better: int, worse: int, same: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return so many differences of each kind."""
    return np.array([1.0] * better + [-1.0] * worse + [0.0] * same)


class TestMcNemar:
    @given(st.integers(0, 30), st.integers(0, 30))
    def test_is_the_binomial_test(self, better: int, worse: int) -> None:
        """Twice the tail of a fair coin, at most one."""
        flips = better + worse
        tail = sum(math.comb(flips, k) for k in range(min(better, worse) + 1)) / 2**flips
        p_value, _ = mcnemar(differences(better, worse, 5))
        assert p_value == pytest.approx(min(1.0, 2 * tail))


class TestBonettPrice:
    def test_worked_example(self) -> None:
        """Worked by hand: 9 better, 3 worse of 40."""
        better, worse, count = 10 / 42, 4 / 42, 42
        middle = better - worse
        half = 1.959964 * math.sqrt((better + worse - middle**2) / count)
        interval = bonett_price(differences(9, 3, 28))
        assert (interval.low, interval.high) == pytest.approx((middle - half, middle + half))

    @given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20))
    def test_stays_in_range(self, better: int, worse: int, same: int) -> None:
        """A difference of shares is between -1 and 1, and never certain."""
        interval = bonett_price(differences(better, worse, same))
        assert -1 <= interval.low < interval.high <= 1


class TestPermutation:
    def test_agrees_with_all_sign_flips(self) -> None:
        """The sampled p-value is that of the full enumeration, within its noise."""
        sample = np.array([0.3, 0.1, -0.05, 0.2, 0.15, -0.1, 0.25, 0.05])
        observed = abs(sample.sum())
        signs = np.array(list(itertools.product((-1, 1), repeat=len(sample))))
        exact = (np.abs(signs @ sample) >= observed - 1e-12).mean()
        p_value, _ = permutation(sample, seed=0)
        assert p_value == pytest.approx(exact, abs=0.01)

    def test_is_never_zero(self) -> None:
        """Ten thousand rounds cannot show more than one in ten thousand."""
        p_value, _ = permutation(np.full(100, 0.5), seed=0)
        assert p_value == pytest.approx(1e-4)

    def test_zeros_do_not_matter(self) -> None:
        """Examples that did not change carry no evidence."""
        sample = np.array([0.3, 0.1, -0.05, 0.2])
        padded = np.concatenate((sample, np.zeros(50)))
        assert permutation(sample, seed=3) == permutation(padded, seed=3)
        assert permutation(np.zeros(5), seed=0)[0] == 1.0

    def test_exact_for_a_few(self) -> None:
        """Three signs have eight patterns, of which two are as extreme."""
        assert permutation(np.array([0.1, 0.2, 0.3]), seed=9) == (2 / 8, "permutation, exact")

    def test_exact_against_scipy(self) -> None:
        """All sign patterns of a paired sample, as scipy counts them."""
        sample = np.array([0.3, -0.1, 0.25, 0.4, -0.05, 0.2, 0.15])
        theirs = stats.permutation_test(
            (sample, np.zeros(7)),
            lambda x, y, axis: (x - y).mean(axis=axis),
            permutation_type="samples",
            vectorized=True,
        )
        assert permutation(sample, seed=0)[0] == pytest.approx(theirs.pvalue)

    def test_large_samples_take_the_normal_limit(self) -> None:
        """Thousands of changes are judged at once, and like the sampled test."""
        sample = np.random.default_rng(0).normal(0.02, 1, size=6_000)
        p_value, test = permutation(sample, seed=0)
        z = abs(sample.sum()) / math.sqrt((sample**2).sum())
        assert test == "permutation, normal limit"
        assert p_value == pytest.approx(math.erfc(z / math.sqrt(2)))


class TestMinimumDetectable:
    def test_power_is_four_in_five(self) -> None:
        """A shift of that size is found in about 80 of 100 samples."""
        random = np.random.default_rng(5)
        sample = random.normal(0, 1, size=200)
        shift = minimum_detectable(float(sample.std(ddof=1)) / math.sqrt(200))
        assert shift is not None
        trials = random.normal(shift, sample.std(ddof=1), size=(2_000, 200))
        z = trials.mean(axis=1) / (trials.std(axis=1, ddof=1) / math.sqrt(200))
        assert (np.abs(z) > 1.96).mean() == pytest.approx(0.8, abs=0.03)

    def test_needs_a_spread(self) -> None:
        """Nothing is known from one pair, or from pairs that are all alike."""
        assert minimum_detectable(None) is None
        assert minimum_detectable(0.0) is None
