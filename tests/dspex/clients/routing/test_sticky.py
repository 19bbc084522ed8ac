"""A key keeps its client, and moves only when that one leaves."""

from __future__ import annotations

from collections import Counter

import pytest

from dspex.clients.routing.candidate import Candidate
from dspex.clients.routing.sticky import stick

NAMES = ("a/1", "b/2", "c/3")
KEYS = [f"conversation-{number}" for number in range(3_000)]


def placed(candidates: list[Candidate]) -> dict[str, int]:
    return {key: stick(candidates, NAMES, key).index for key in KEYS}


def test_only_the_keys_of_the_one_that_left_move() -> None:
    """And to everybody who is still there."""
    everybody = [Candidate(index) for index in range(3)]
    before, after = placed(everybody), placed(everybody[:2])

    moved = {key for key in KEYS if before[key] != after[key]}
    assert moved == {key for key in KEYS if before[key] == 2}
    assert {0, 1} == {after[key] for key in moved}


def test_keys_are_spread_by_weight() -> None:
    """Twice the weight has twice the keys."""
    counts = Counter(placed([Candidate(0, weight=2), Candidate(1), Candidate(2)]).values())

    assert counts[0] == pytest.approx(1_500, rel=0.1)
    assert counts[1] == pytest.approx(750, rel=0.15)


def test_the_order_does_not_matter() -> None:
    """Nor what else a candidate is at the moment."""
    there = [Candidate(0), Candidate(1), Candidate(2)]
    back = [Candidate(2, in_flight=9), Candidate(1, latency_s=3.0), Candidate(0)]

    assert placed(there) == placed(back)
