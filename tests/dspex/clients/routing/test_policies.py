"""Policies are pure: they see candidates, a turn and a generator, and nothing else."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from dspex.clients.routing.candidate import Candidate, usable
from dspex.clients.routing.policies import (
    POLICIES,
    Cheapest,
    LeastLoaded,
    LowestLatency,
    Policy,
    RoundRobin,
    Weighted,
    policy_of,
)
from dspex.errors import ConfigError

RNG = random.Random(0)

candidates = st.builds(
    Candidate,
    st.integers(0, 100),
    weight=st.floats(0.01, 100),
    open=st.booleans(),
    quota_free=st.booleans(),
    in_flight=st.integers(0, 10_000),
    latency_s=st.none() | st.floats(0, 1_000),
    price_usd=st.none() | st.decimals(0, 10, places=4),
    context_tokens=st.none() | st.integers(1, 10**6),
)
views = st.lists(candidates, min_size=1, max_size=8)


def shares(policy: Policy, view: list[Candidate], turns: int = 1_000) -> Counter[int]:
    rng = random.Random(0)
    return Counter(policy.choose(view, turn, rng).index for turn in range(turns))


class TestUsable:
    @given(views, st.sampled_from(sorted(POLICIES)), st.integers(0, 10**6), st.randoms())
    def test_no_open_one_is_chosen_while_one_is_closed(
        self, view: list[Candidate], name: str, turn: int, rng: random.Random
    ) -> None:
        """Whatever the policy, and whatever else the candidates are."""
        chosen = policy_of(name).choose(usable(view), turn, rng)

        assert chosen in view
        assert not chosen.open or all(candidate.open for candidate in view)

    @given(views)
    def test_free_quota_comes_before_waiting(self, view: list[Candidate]) -> None:
        """Who is closed and free goes first; who is closed but busy is better than nobody."""
        found = usable(view)

        assert found
        free = [candidate for candidate in view if candidate.quota_free and not candidate.open]
        assert not free or found == free


class TestRoundRobin:
    def test_takes_turns(self) -> None:
        """Each one as often as the others."""
        assert {0: 300, 1: 300, 2: 300} == shares(
            RoundRobin(), [Candidate(index) for index in range(3)], 900
        )


class TestWeighted:
    def test_shares_follow_the_weights_closely(self) -> None:
        """Not only in the long run: of any hundred in a row each gets its part."""
        view = [Candidate(0, weight=5), Candidate(1, weight=3), Candidate(2, weight=2)]
        taken = [Weighted().choose(view, turn, RNG).index for turn in range(1_000)]

        for start in range(900):
            counts = Counter(taken[start : start + 100])
            assert counts[0] == pytest.approx(50, abs=3)
            assert counts[1] == pytest.approx(30, abs=3)

    @given(views, st.integers(0, 10**9))
    def test_always_finds_somebody(self, view: list[Candidate], turn: int) -> None:
        """Rounding never lets a turn fall through."""
        assert Weighted().choose(view, turn, RNG) in view


class TestLeastLoaded:
    def test_load_is_in_proportion_to_weight(self) -> None:
        """Twice the weight bears twice the calls."""
        view = [Candidate(0, in_flight=10), Candidate(1, in_flight=18, weight=2)]

        assert 1 == LeastLoaded().choose(view, 0, RNG).index

    def test_equals_take_turns(self) -> None:
        """An idle fleet does not send everything to the first."""
        assert {0: 50, 1: 50} == shares(LeastLoaded(), [Candidate(0), Candidate(1)], 100)


class TestLowestLatency:
    def test_the_faster_of_two_is_taken(self) -> None:
        """Always, if there are but two."""
        view = [Candidate(0, latency_s=2.0), Candidate(1, latency_s=0.5)]

        assert {1: 100} == shares(LowestLatency(), view, 100)

    def test_the_fastest_does_not_take_everything(self) -> None:
        """Of many, the slowest is left out and the others share."""
        view = [Candidate(index, latency_s=1.0 + index) for index in range(4)]
        found = shares(LowestLatency(), view)

        assert 0 == found[3]
        assert found[0] > found[1] > found[2] > 0

    def test_one_that_has_never_answered_is_tried_with_one_call(self) -> None:
        """And with no more until it answers, however slow the others are."""
        fast, cold = Candidate(0, latency_s=0.1), Candidate(1)
        busy = Candidate(1, in_flight=1)

        assert 1 == LowestLatency().choose([fast, cold], 0, RNG).index
        assert 0 == LowestLatency().choose([fast, busy], 0, RNG).index

    def test_a_cold_start_spreads_by_load(self) -> None:
        """Before anybody has answered nobody is faster."""
        view = [Candidate(0, in_flight=5), Candidate(1, in_flight=3)]

        assert 1 == LowestLatency().choose(view, 0, RNG).index

    def test_a_single_one_is_taken(self) -> None:
        """There is nothing to toss."""
        assert 7 == LowestLatency().choose([Candidate(7)], 0, RNG).index


class TestCheapest:
    def test_unknown_prices_come_last(self) -> None:
        """What costs nothing for sure is cheaper than what may cost anything."""
        view = [
            Candidate(0),
            Candidate(1, price_usd=Decimal(5)),
            Candidate(2, price_usd=Decimal(0)),
        ]

        assert 2 == Cheapest().choose(view, 0, RNG).index
        assert 1 == Cheapest().choose(view[:2], 0, RNG).index

    def test_equal_prices_are_shared_by_load(self) -> None:
        """Two keys of one provider cost the same."""
        view = [Candidate(0, in_flight=2), Candidate(1, in_flight=1)]

        assert 1 == Cheapest().choose(view, 0, RNG).index


def test_an_unknown_policy_is_an_error() -> None:
    """It lists those there are."""
    with pytest.raises(ConfigError, match=r"'fastest'.*cheapest, least_loaded"):
        policy_of("fastest")
