"""Published prices: the snapshot that the genai-prices package carries; nothing is downloaded.

Importing it takes a third of a second and looking a model up some hundred microseconds, so the one
is done in a thread and the other once a model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from dspex.clients.prices.price import Price, per_million
from dspex.errors import ConfigError

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

__all__ = ("PublishedPrices",)

_FIELDS: Final = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")
_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class PublishedPrices:
    """The list as it was when the package was made; `version` is the package's."""

    version: str
    _snapshot: Any

    @classmethod
    def load(cls) -> PublishedPrices:
        """Import the package; call it in a thread.

        Raises:
            ConfigError: it is not installed.
        """
        try:
            from genai_prices import __version__
            from genai_prices.data_snapshot import get_snapshot
        except ImportError as exc:
            raise ConfigError(
                "needs the package genai-prices: install dspex[cost]",
                source="settings",
                key="providers.*.price_list",
                value="genai-prices",
            ) from exc

        return cls(__version__, get_snapshot())

    def find(self, provider: str, base_url: str, model: str, now: datetime) -> Price | None:
        """Return a model's price at a time; None when the list does not know the model.

        Args:
            provider: its name in the settings; one the list does not know is told by its URL.
            base_url: of the endpoint.
            model: the provider's own name for it.
            now: some prices begin on a day or hold for some hours of it.
        """
        found = self._model(provider, None, model) or self._model(None, base_url, model)
        if found is None:
            return None

        now = now.astimezone(UTC)
        source = f"genai-prices {self.version}"
        price = _price(found.get_prices(now), source)
        batch = _price(found.get_prices(now, {"processing": "batch"}), source)
        return price if price is None or batch in (None, price) else replace(price, batch=batch)

    def _model(self, provider: str | None, base_url: str | None, model: str) -> ModelInfo | None:
        try:
            found: tuple[Any, ModelInfo] = self._snapshot.find_provider_model(
                model, None, provider, base_url
            )
        except LookupError:
            return None

        return found[1]


def _price(found: ModelPrice, source: str) -> Price | None:
    base = _flat(found, 0, source)
    if base is None:
        return None

    values: list[Any] = [getattr(found, name) for name in _FIELDS]
    starts = sorted({tier.start for value in values for tier in getattr(value, "tiers", ())})
    higher = [(start, _flat(found, start + 1, source)) for start in starts]
    return replace(base, tiers=tuple((start, flat) for start, flat in higher if flat is not None))


def _flat(found: ModelPrice, input_tokens: int, source: str) -> Price | None:
    """Return the price of a call with so many tokens of input, which is the same for all of it."""
    asked, answered, read, write = (_usd(getattr(found, name), input_tokens) for name in _FIELDS)
    if asked is None:
        return None

    # Models that only read, to embed or to rank, have no price for an answer.
    return Price(
        asked, answered or _ZERO, cache_read_usd=read, cache_write_usd=write, source=source
    )


def _usd(value: Decimal | TieredPrices | None, input_tokens: int) -> Decimal | None:
    if value is None or isinstance(value, Decimal):
        return None if value is None else per_million(value)

    reached = [tier.price for tier in value.tiers if input_tokens > tier.start]
    return per_million(reached[-1] if reached else value.base)
