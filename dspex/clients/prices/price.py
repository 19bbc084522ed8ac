"""One model's price: US dollars per token, exact to the last digit."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dspex.config import ModelPrice, ProviderSettings
    from dspex.usage import Usage

__all__ = ("Price", "per_million", "priced")

_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per token.

    What a prompt cache served or took in costs what other input does where its own price is None.
    `tiers` are the prices of longer prompts: (tokens, price), ascending, each for all tokens of a
    call whose input is larger. `batch` is the price through a batch interface; None: the same.
    `source` says where it is from.
    """

    input_usd: Decimal
    output_usd: Decimal
    _: KW_ONLY
    cache_read_usd: Decimal | None = None
    cache_write_usd: Decimal | None = None
    tiers: tuple[tuple[int, Price], ...] = ()
    batch: Price | None = None
    source: str = "settings"

    @classmethod
    def from_settings(cls, settings: ModelPrice | ProviderSettings) -> Price | None:
        """Return the price that settings give, or None unless they give both sides."""
        asked = settings.input_usd_per_million_tokens
        answered = settings.output_usd_per_million_tokens
        if asked is None or answered is None:
            return None

        read = settings.cache_read_usd_per_million_tokens
        write = settings.cache_write_usd_per_million_tokens
        price = cls(
            per_million(asked),
            per_million(answered),
            cache_read_usd=None if read is None else per_million(read),
            cache_write_usd=None if write is None else per_million(write),
        )
        part = 1 - Decimal(str(settings.batch_discount))
        return price if part == 1 else replace(price, batch=price.times(part))

    def of(self, usage: Usage) -> Decimal:
        """Return what `usage` costs."""
        price = self._tier(usage.input_tokens)
        read, write = usage.cache_read_tokens, usage.cache_write_tokens
        if not read and not write:
            return usage.input_tokens * price.input_usd + usage.output_tokens * price.output_usd

        plain = max(0, usage.input_tokens - read - write)
        return (
            plain * price.input_usd
            + read * _or(price.cache_read_usd, price.input_usd)
            + write * _or(price.cache_write_usd, price.input_usd)
            + usage.output_tokens * price.output_usd
        )

    def most(self, usage: Usage) -> Decimal:
        """Return the most that a call of up to `usage` can cost: the dearest way to read it."""
        tiers = [price for start, price in self.tiers if usage.input_tokens > start]
        return max(price._dearest(usage) for price in (self, *tiers))

    def times(self, part: Decimal) -> Price:
        """Return the price with every number multiplied, without a batch price of its own."""
        return replace(
            self,
            input_usd=self.input_usd * part,
            output_usd=self.output_usd * part,
            cache_read_usd=None if self.cache_read_usd is None else self.cache_read_usd * part,
            cache_write_usd=None if self.cache_write_usd is None else self.cache_write_usd * part,
            tiers=tuple((start, price.times(part)) for start, price in self.tiers),
            batch=None,
        )

    def _tier(self, input_tokens: int) -> Price:
        found = self
        for start, price in self.tiers:
            if input_tokens > start:
                found = price

        return found

    def _dearest(self, usage: Usage) -> Decimal:
        read = max(
            self.input_usd,
            _or(self.cache_read_usd, self.input_usd),
            _or(self.cache_write_usd, self.input_usd),
        )
        return usage.input_tokens * read + usage.output_tokens * self.output_usd


def per_million(usd: float | Decimal) -> Decimal:
    """Return the dollars of one token from those of a million."""
    return Decimal(str(usd)) / _MILLION


def priced(usage: Usage, price: Price | None, *, failed_attempts: int) -> Usage:
    """Return the usage of one answered call with its cost: None when the price is unknown."""
    return replace(
        usage,
        cost_usd=None if price is None else price.of(usage),
        calls=1,
        failed_attempts=failed_attempts,
    )


def _or(price_usd: Decimal | None, other_usd: Decimal) -> Decimal:
    return other_usd if price_usd is None else price_usd
