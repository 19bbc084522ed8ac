"""Usage adds up exactly, and never shows a partial bill."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, strategies as st

from dspex.usage import Usage, UsageMeter

counts = st.integers(min_value=0, max_value=10**9)
costs = st.one_of(st.none(), st.decimals(min_value=0, max_value=1000, places=6))
usages = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cache_read_tokens=counts,
    cache_write_tokens=counts,
    reasoning_tokens=counts,
    cost_usd=costs,
    calls=counts,
    cache_hits=counts,
    failed_attempts=counts,
)


class TestUsage:
    def test_addition_is_exact_to_the_cent(self) -> None:
        """Three times ten cents are thirty cents, which binary floats would miss."""
        dime = Usage(cost_usd=Decimal("0.10"), calls=1)

        assert Usage(cost_usd=Decimal("0.30"), calls=3) == dime + dime + dime

    def test_one_unknown_price_makes_the_sum_unknown(self) -> None:
        """A sum over calls of which one has no price is None, not a small number."""
        total = Usage(cost_usd=Decimal(1)) + Usage(cost_usd=None) + Usage(cost_usd=Decimal(1))

        assert total.cost_usd is None

    @given(usages, usages, usages)
    def test_addition_is_associative_and_commutative(self, a: Usage, b: Usage, c: Usage) -> None:
        """The order in which calls finish does not change the bill."""
        assert (a + b) + c == a + (b + c)
        assert a + b == b + a

    @given(usages)
    def test_survives_json(self, usage: Usage) -> None:
        """What `to_dict` writes, `from_dict` reads back, cents included."""
        assert usage == Usage.from_dict(usage.to_dict())

    def test_reads_what_an_older_version_wrote(self) -> None:
        """Missing fields are zero and unknown ones are ignored."""
        assert Usage(calls=2) == Usage.from_dict({"calls": 2, "petals": 5})


class TestUsageMeter:
    def test_a_call_counts_in_every_parent_and_in_no_sibling(self) -> None:
        """Usage flows up the tree and never sideways."""
        root = UsageMeter()
        left, right = UsageMeter(root), UsageMeter(root)

        left.add(Usage(input_tokens=5, calls=1))
        right.add(Usage(input_tokens=7, calls=1))

        assert (5, 7, 12) == (
            left.total.input_tokens,
            right.total.input_tokens,
            root.total.input_tokens,
        )

    @given(st.lists(usages, max_size=4), st.booleans())
    def test_its_total_is_the_sum_whenever_it_is_read(
        self, added: list[Usage], read_often: bool
    ) -> None:
        """The total equals the plain sum after any number of calls, asked for between or not."""
        meter = UsageMeter()
        for count, usage in enumerate(added, 1):
            meter.add(usage)
            if read_often:
                assert meter.total == sum(added[:count], Usage())

        assert meter.total == sum(added, Usage())
        assert meter.total is meter.total

    def test_counts_calls_that_wait_for_a_provider_at_every_level(self) -> None:
        """`in_call` is up while a call below is in flight, and down again after."""
        root = UsageMeter()
        leaf = UsageMeter(root)

        leaf.enter_call()
        leaf.enter_call()
        leaf.leave_call()

        assert (1, 1) == (leaf.in_call, root.in_call)

    def test_an_unused_meter_is_empty_and_free(self) -> None:
        """Nothing used costs nothing, which is zero and not unknown."""
        assert Usage(cost_usd=Decimal(0)) == UsageMeter().total

    def test_keeps_accounts_of_models_where_it_is_asked_to(self) -> None:
        """Each call counts in its model's account, and in the total."""
        root = UsageMeter(by_model=True)
        leaf = UsageMeter(root)

        leaf.add(Usage(calls=1, input_tokens=2), "a", "m")
        leaf.add(Usage(calls=1, input_tokens=3), "b", "m")
        leaf.add(Usage(calls=1, input_tokens=4), "a", "m")
        leaf.add(Usage(calls=1))

        assert {"a/m": 6, "b/m": 3} == {
            name: usage.input_tokens for name, usage in root.usage_by_model.items()
        }
        assert ({}, 4) == (leaf.usage_by_model, root.total.calls)

    def test_accounts_of_models_are_bounded(self) -> None:
        """Who makes up names does not fill the memory, and nothing is lost."""
        meter = UsageMeter(by_model=True)
        for number in range(1_100):
            meter.add(Usage(calls=1), "p", str(number))

        assert 1_001 == len(meter.usage_by_model)
        assert 100 == meter.usage_by_model["other"].calls
