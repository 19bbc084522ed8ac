"""Noise that follows from its key, and grows with the temperature."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dspex.sandbox.noise import Noise

SCORES = np.array([0.5, 0.3, 0.2])


def noise(temperature: float, seed: int | None = 0, sample: int = 0, text: str = "t") -> Noise:
    return Noise.of(b"digest", text, seed, sample, temperature)


def test_none_at_zero() -> None:
    """At temperature 0 scores and weights stay as they are."""
    assert noise(0.0).shifted(SCORES) is SCORES
    assert noise(0.0).scaled(3.0) == 3.0


@given(st.integers() | st.none(), st.integers(0, 99), st.text(max_size=9))
def test_same_key_same_noise(seed: int | None, sample: int, text: str) -> None:
    """The prompt, the seed and the sample decide."""
    one, other = (noise(1.0, seed, sample, text).shifted(SCORES) for _ in range(2))
    assert np.array_equal(one, other)
    assert np.all(np.isfinite(one))


@pytest.mark.parametrize("key", [{"seed": 1}, {"seed": None}, {"sample": 1}, {"text": "u"}])
def test_each_part_of_the_key_matters(key: dict[str, int | str | None]) -> None:
    """Another seed, sample or prompt gives other noise."""
    changed = noise(1.0, **key)  # type: ignore[arg-type] # one option at a time
    assert not np.array_equal(noise(1.0).shifted(SCORES), changed.shifted(SCORES))


def test_temperature_is_the_scale() -> None:
    """Twice the temperature moves scores twice as far."""
    once = noise(1.0).shifted(SCORES) - SCORES
    assert noise(2.0).shifted(SCORES) - SCORES == pytest.approx(2 * once)
    assert noise(1e-9).shifted(SCORES) == pytest.approx(SCORES, abs=1e-6)


def test_weights_stay_positive() -> None:
    """A weight is made larger or smaller, never turned around."""
    drawn = [noise(2.0, seed).scaled(1.0) for seed in range(200)]
    assert min(drawn) > 0
    assert min(drawn) < 1 < max(drawn)
