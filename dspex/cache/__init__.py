"""Answers that were paid for once, and calls that need not be made twice.

`ResponseCache` is owned by a supervised child; calls borrow it through the child's ref. It keeps
whole `Response` values, immutable, bounded by bytes and by age, in memory. Equal calls that are
under way at the same time share one flight: one caller asks the provider and the others wait. A
caller that is cancelled, or whose own deadline or budget ends, hands the flight to the next.

Keys hold the endpoint and the digest of the request, its sample number included, and never a
secret. When the child crashes, what was cached is gone and calls in flight go on; while it restarts
calls go straight to the provider. The cache never fails a call.
"""

from __future__ import annotations

from dspex.cache.flight import Flights
from dspex.cache.memory import CacheStatistics, ResponseCache, cache_child

__all__ = ("CacheStatistics", "Flights", "ResponseCache", "cache_child")
