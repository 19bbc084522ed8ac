"""The settings' prices win over the published ones, and both may change under way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from dspex.clients.prices.price import per_million
from dspex.clients.prices.published import PublishedPrices
from dspex.clients.prices.table import PriceTable
from dspex.config import ModelPrice, ProviderSettings
from dspex.errors import ConfigError

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def settings(**fields: Any) -> ProviderSettings:
    return ProviderSettings(base_url="http://127.0.0.1/v1", **fields)


def price(asked: float, answered: float, **more: float) -> ModelPrice:
    return ModelPrice(
        input_usd_per_million_tokens=asked, output_usd_per_million_tokens=answered, **more
    )


def in_and_out(table: PriceTable, model: str) -> tuple[Decimal, Decimal]:
    found = table.require(model)
    return found.input_usd, found.output_usd


class TestOrder:
    async def test_the_models_own_price_wins(self) -> None:
        """Then the provider's for all its models."""
        table = PriceTable(
            "local",
            settings(
                prices={"large": price(10, 20)},
                input_usd_per_million_tokens=1,
                output_usd_per_million_tokens=2,
            ),
        )

        assert (per_million(10), per_million(20)) == in_and_out(table, "large")
        assert (per_million(1), per_million(2)) == in_and_out(table, "small")

    async def test_the_settings_win_over_the_list(self) -> None:
        """A contract is worth more than a price on a web page."""
        table = PriceTable(
            "openai", settings(prices={"gpt-4o-mini": price(9, 9)}, price_list="genai-prices")
        )
        await table.load()

        assert (per_million(9), per_million(9)) == in_and_out(table, "gpt-4o-mini")
        assert "settings" == table.require("gpt-4o-mini").source

    async def test_a_price_that_nobody_knows_is_none(self) -> None:
        """And an error, which names model and setting, for who cannot do without."""
        table = PriceTable("local", settings())

        assert table.get("large") is None
        with pytest.raises(ConfigError, match=r"providers\.local\.prices\.large.*'large'"):
            table.require("large")


class TestRetuning:
    async def test_other_settings_hold_from_then_on(self) -> None:
        """Prices that were looked up before are looked up anew."""
        table = PriceTable("local", settings(prices={"large": price(1, 1)}))
        assert (per_million(1), per_million(1)) == in_and_out(table, "large")

        await table.retune(settings(prices={"large": price(2, 3)}))

        assert (per_million(2), per_million(3)) == in_and_out(table, "large")

    async def test_the_list_can_be_switched_on_and_off(self) -> None:
        """It is loaded when it is first asked for."""
        table = PriceTable("openai", settings())
        assert table.get("gpt-4o-mini") is None

        await table.retune(settings(price_list="genai-prices"))
        assert table.get("gpt-4o-mini") is not None

        await table.retune(settings())
        assert table.get("gpt-4o-mini") is None

    async def test_published_prices_are_looked_up_again_after_a_while(self) -> None:
        """Some of them hold for some hours of the day."""
        now, asked = [NOW], list[datetime]()

        class Spy(PublishedPrices):
            def find(self, provider: str, base_url: str, model: str, now: datetime) -> None:
                asked.append(now)

        table = PriceTable("p", settings(price_list="genai-prices"), now=lambda: now[0])
        table._published = Spy("1", None)
        table._forget()
        for minutes in (0, 5, 10):
            now[0] = NOW + timedelta(minutes=minutes)
            table.get("m")

        assert [NOW, NOW + timedelta(minutes=10)] == asked
