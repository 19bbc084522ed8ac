"""What a call costs, from the prices in the provider's settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dspex.config import ProviderSettings
    from dspex.usage import Usage

__all__ = ("Price", "priced")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per token, exact."""

    input_usd: Decimal
    output_usd: Decimal

    @classmethod
    def from_settings(cls, settings: ProviderSettings) -> Price | None:
        """Return the price the settings give, or None unless they give both sides."""
        asked = settings.input_usd_per_million_tokens
        answered = settings.output_usd_per_million_tokens
        if asked is None or answered is None:
            return None

        return cls(Decimal(str(asked)) / 1_000_000, Decimal(str(answered)) / 1_000_000)

    def of(self, usage: Usage) -> Decimal:
        """Return what `usage` costs."""
        return usage.input_tokens * self.input_usd + usage.output_tokens * self.output_usd


def priced(usage: Usage, price: Price | None, *, failed_attempts: int) -> Usage:
    """Return the usage of one answered call with its cost: None when the price is unknown."""
    return replace(
        usage,
        cost_usd=None if price is None else price.of(usage),
        calls=1,
        failed_attempts=failed_attempts,
    )
