"""Prices are exact, and unknown unless both sides are known."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from dspex.clients.prices.price import Price, per_million, priced
from dspex.config import ModelPrice, ProviderSettings
from dspex.usage import Usage

counts = st.integers(0, 10**6)
dollars = st.decimals(0, 100, places=3)
flat = st.builds(
    Price,
    dollars,
    dollars,
    cache_read_usd=st.none() | dollars,
    cache_write_usd=st.none() | dollars,
)
prices = st.builds(
    lambda base, tiers: Price(
        base.input_usd,
        base.output_usd,
        cache_read_usd=base.cache_read_usd,
        cache_write_usd=base.cache_write_usd,
        tiers=tuple(sorted(tiers.items())),
    ),
    flat,
    st.dictionaries(st.integers(1, 10**6), flat, max_size=3),
)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Draw a usage whose cached tokens are part of its input."""
    asked = draw(counts)
    read = draw(st.integers(0, asked))
    return Usage(
        input_tokens=asked,
        cache_read_tokens=read,
        cache_write_tokens=draw(st.integers(0, asked - read)),
        output_tokens=draw(counts),
    )


class TestFromSettings:
    def test_is_exact_to_the_last_digit(self) -> None:
        """A tenth of a dollar stays one, which binary floats would miss."""
        price = Price.from_settings(
            ProviderSettings(input_usd_per_million_tokens=0.1, output_usd_per_million_tokens=0.3)
        )

        assert price is not None
        cost = price.of(Usage(input_tokens=1_000_000, output_tokens=1_000_000))
        assert cost == Decimal("0.4")

    @pytest.mark.parametrize(("asked", "answered"), [(None, None), (1.0, None), (None, 1.0)])
    def test_half_a_price_is_none(self, asked: float | None, answered: float | None) -> None:
        """A bill for one side alone would look small."""
        settings = ProviderSettings(
            input_usd_per_million_tokens=asked, output_usd_per_million_tokens=answered
        )

        assert Price.from_settings(settings) is None

    def test_free_is_a_price(self) -> None:
        """Zero is known."""
        settings = ProviderSettings(
            input_usd_per_million_tokens=0.0, output_usd_per_million_tokens=0.0
        )
        usage = priced(Usage(input_tokens=5), Price.from_settings(settings), failed_attempts=2)

        assert (Decimal(0), 1, 2) == (usage.cost_usd, usage.calls, usage.failed_attempts)

    def test_a_batch_has_its_discount(self) -> None:
        """Half off unless the settings say otherwise, caches included."""
        price = Price.from_settings(
            ModelPrice(
                input_usd_per_million_tokens=4,
                output_usd_per_million_tokens=8,
                cache_read_usd_per_million_tokens=1,
                batch_discount=0.25,
            )
        )

        assert price is not None
        assert price.batch is not None
        assert (per_million(3), per_million(6), per_million(0.75)) == (
            price.batch.input_usd,
            price.batch.output_usd,
            price.batch.cache_read_usd,
        )


class TestOf:
    def test_cached_tokens_have_prices_of_their_own(self) -> None:
        """They are part of the input, and not charged twice."""
        price = Price(
            Decimal(10), Decimal(100), cache_read_usd=Decimal(1), cache_write_usd=Decimal(12)
        )
        usage = Usage(input_tokens=10, cache_read_tokens=6, cache_write_tokens=3, output_tokens=2)

        assert Decimal(1 * 10 + 6 * 1 + 3 * 12 + 2 * 100) == price.of(usage)

    def test_without_prices_of_their_own_they_are_input(self) -> None:
        """A bill may be too high for that, and never too low."""
        usage = Usage(input_tokens=10, cache_read_tokens=9, cache_write_tokens=1)

        assert Decimal(50) == Price(Decimal(5), Decimal(0)).of(usage)

    def test_more_cached_than_asked_is_no_refund(self) -> None:
        """A server that counts wrongly does not earn anybody money."""
        usage = Usage(input_tokens=1, cache_read_tokens=5)

        assert Price(Decimal(10), Decimal(0), cache_read_usd=Decimal(1)).of(usage) == 5

    @pytest.mark.parametrize(
        ("asked", "cost"), [(100, 100), (101, 202), (1_000, 2_000), (1_001, 3_003)]
    )
    def test_a_long_prompt_pays_its_tier_for_all_tokens(self, asked: int, cost: int) -> None:
        """Crossing a tier changes the price of the tokens before it, too."""
        tiers = tuple((start, Price(Decimal(n), Decimal(0))) for start, n in ((100, 2), (1_000, 3)))

        assert cost == Price(Decimal(1), Decimal(0), tiers=tiers).of(Usage(input_tokens=asked))

    @given(prices, usages(), st.integers(0, 10**6), st.integers(0, 10**6))
    def test_nothing_costs_more_than_the_most(
        self, price: Price, usage: Usage, less_in: int, less_out: int
    ) -> None:
        """What a budget sets aside covers every call that stays within the bound."""
        bound = Usage(
            input_tokens=usage.input_tokens + less_in, output_tokens=usage.output_tokens + less_out
        )

        assert price.of(usage) <= price.most(bound)
