"""The prices of one endpoint's models, as its settings have them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from dspex.clients.prices.price import Price
from dspex.clients.prices.published import PublishedPrices
from dspex.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex.config import ProviderSettings

__all__ = ("PriceTable",)

_FRESH_FOR: Final = timedelta(minutes=10)
"""Some published prices hold for some hours of the day."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class PriceTable:
    """Looks up what a model costs; about 0.1 us once a model was asked for.

    The settings' price of the model wins over the settings' price of the provider, and that over
    the published list, which must be loaded first.

    Args:
        provider: its name in the settings.
        settings: its settings.
        now: the time whose published prices hold.
    """

    __slots__ = ("_found", "_lock", "_now", "_provider", "_published", "_settings", "_stale_at")

    def __init__(
        self, provider: str, settings: ProviderSettings, *, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self._provider = provider
        self._settings = settings
        self._now = now
        self._published: PublishedPrices | None = None
        self._found: dict[str, Price | None] = {}
        self._stale_at: datetime | None = None
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        source = "settings" if self._published is None else repr(self._published.version)
        return f"<PriceTable {self._provider} {source}, {len(self._found)} models>"

    def get(self, model: str) -> Price | None:
        """Return the model's price, or None if nobody knows it."""
        if self._stale_at is not None and self._now() >= self._stale_at:
            self._forget()

        try:
            return self._found[model]
        except KeyError:
            price = self._found[model] = self._look_up(model)
            return price

    def require(self, model: str) -> Price:
        """Return the model's price.

        Raises:
            ConfigError: nobody knows it.
        """
        price = self.get(model)
        if price is None:
            raise ConfigError(
                f"there is no price for {model!r}, and a budget in dollars cannot be kept without: "
                f"set its input_usd_per_million_tokens and output_usd_per_million_tokens there, "
                f'or price_list = "genai-prices" for its provider',
                source="settings",
                key=f"providers.{self._provider}.prices.{model}",
            )

        return price

    async def load(self) -> None:
        """Load the published list, in a thread, if the settings ask for it; once.

        Raises:
            ConfigError: its package is not installed.
        """
        if self._settings.price_list is None or self._published is not None:
            return

        async with self._lock:
            if self._published is None:
                self._published = await asyncio.to_thread(PublishedPrices.load)
                self._forget()

    async def retune(self, settings: ProviderSettings) -> None:
        """Take other settings: calls that are answered from now on cost what these say."""
        self.take(settings)
        await self.load()
        self._forget()

    def take(self, settings: ProviderSettings) -> None:
        """Take other settings, as `retune` does, without loading a list that was not loaded."""
        self._settings = settings
        self._forget()

    def _forget(self) -> None:
        self._found.clear()
        if self._published is not None:
            self._stale_at = self._now() + _FRESH_FOR

    def _look_up(self, model: str) -> Price | None:
        own = self._settings.prices.get(model)
        price = Price.from_settings(self._settings if own is None else own)
        if price is not None or self._published is None or self._settings.price_list is None:
            return price

        base_url = self._settings.base_url or ""
        return self._published.find(self._provider, base_url, model, self._now())
