"""Prices are exact, and unknown unless both sides are known."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dspex.clients.prices import Price, priced
from dspex.config import ProviderSettings
from dspex.usage import Usage


class TestPrice:
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
