"""What calls cost: exact decimals, from the settings first and a published list second.

Why: a run that cannot say what it costs cannot be held to a budget, and a bill that is only nearly
right is wrong.

Objects: `Price` (one model's dollars per token, with what caches and batches change), `PriceTable`
(one endpoint's models), `PublishedPrices` (the snapshot of genai-prices, an extra).

Invariants: a cost is a Decimal and nothing is rounded; a price that nobody knows is None and never
zero. Nothing is downloaded.

Failure: a budget in dollars meets a model without a price with a `ConfigError` that names both.
"""

from __future__ import annotations

from dspex.clients.prices.price import Price, per_million, priced
from dspex.clients.prices.published import PublishedPrices
from dspex.clients.prices.table import PriceTable

__all__ = ("Price", "PriceTable", "PublishedPrices", "per_million", "priced")
