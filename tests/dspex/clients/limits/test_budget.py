"""A purse is never overdrawn by estimates, and every lease is closed exactly once."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.clients.limits.budget import Budget, LocalBudget, estimate_usage
from dspex.errors import BudgetExceeded
from dspex.messages import ImagePart, Message, Request, Sampling, TextPart
from dspex.usage import Usage

small = st.integers(0, 20)
usages = st.builds(Usage, input_tokens=small, output_tokens=small, calls=st.integers(0, 2))


class TestBudget:
    @pytest.mark.parametrize("name", ["calls", "tokens"])
    def test_a_negative_bound_is_refused(self, name: str) -> None:
        """The error shows the value."""
        with pytest.raises(ValueError, match=f"{name} must be 0 or more, got -1"):
            Budget(**{name: -1})

    def test_a_budget_of_nothing_allows_nothing(self) -> None:
        """Zero is a bound; None is none."""
        with pytest.raises(BudgetExceeded, match="0 calls"):
            LocalBudget(Budget(calls=0)).reserve(Usage(calls=1))

        LocalBudget(Budget()).reserve(Usage(calls=10**9))


class TestLocalBudget:
    def test_a_refusal_sets_nothing_aside(self) -> None:
        """A call that was too large leaves room for a small one."""
        purse = LocalBudget(Budget(calls=5, tokens=10))

        with pytest.raises(BudgetExceeded, match=r"10 tokens.*reach 11"):
            purse.reserve(Usage(input_tokens=11, calls=1))

        assert (0, 0) == (purse.statistics().reserved_calls, purse.statistics().reserved_tokens)
        purse.reserve(Usage(input_tokens=10, calls=1))

    def test_the_first_end_of_a_lease_counts(self) -> None:
        """A second one would give back what was never set aside."""
        purse = LocalBudget(Budget(calls=5))
        lease = purse.reserve(Usage(calls=1))

        lease.settle(Usage(calls=1, output_tokens=7))
        lease.release()
        lease.settle(Usage(calls=1))

        statistics = purse.statistics()
        assert (1, 7, 0) == (
            statistics.used_calls,
            statistics.used_tokens,
            statistics.reserved_calls,
        )

    @given(st.lists(st.tuples(usages, st.one_of(st.none(), usages)), max_size=30))
    def test_what_is_reserved_and_used_adds_up(
        self, calls: list[tuple[Usage, Usage | None]]
    ) -> None:
        """Estimates never overdraw; after all leases nothing stays set aside."""
        purse, leases, used = LocalBudget(Budget(tokens=200)), [], 0
        for estimate, actual in calls:
            try:
                leases.append((purse.reserve(estimate), actual))
            except BudgetExceeded:
                continue

            assert purse.statistics().reserved_tokens <= 200

        for lease, actual in leases:
            if actual is None:
                lease.release()
            else:
                lease.settle(actual)
                used += actual.total_tokens

        statistics = purse.statistics()
        assert (used, 0, 0) == (
            statistics.used_tokens,
            statistics.reserved_tokens,
            statistics.reserved_calls,
        )


class TestEstimate:
    def test_counts_the_prompt_and_every_bounded_choice(self) -> None:
        """Four characters a token, and the output bound for each choice asked for."""
        message = Message("user", (TextPart("x" * 40), ImagePart("data:,")))
        request = Request((message,), sampling=Sampling(max_tokens=100, n=3))

        estimate = estimate_usage(request)

        assert (11, 300, 1) == (estimate.input_tokens, estimate.output_tokens, estimate.calls)
