"""Answers that were paid for once, and calls that need not be made twice.

`ResponseCache` is owned by a supervised child; calls borrow it through the child's ref. It keeps
whole `Response` values, immutable, bounded by bytes and by age: in memory (`MemoryLevel`) and,
where a path is set, in a file that several processes share (`disk`). Equal calls that are under way
at the same time share one flight: one caller looks on disk and asks the provider, the others wait.
A caller that is cancelled, or whose own deadline or budget ends, hands the flight to the next.

Keys hold the endpoint, its URL and wire included, and the digest of the request, its sample number
included, and never a secret. Other results (`get_json`, `put_json`) live in namespaces of their
own. What is kept is JSON, never pickled objects.

When the child crashes, what was only in memory is gone and calls in flight go on; while it restarts
calls go straight to the provider. The cache never fails a call, and a disk that is full, slow,
locked or broken only makes it forgetful: CACHE_FAULT and the statistics tell.
"""

from __future__ import annotations

from dspex.cache.child import cache_child
from dspex.cache.flight import Flights
from dspex.cache.keys import endpoint_prefix
from dspex.cache.memory import MemoryLevel
from dspex.cache.responses import ResponseCache
from dspex.cache.statistics import CacheStatistics

__all__ = (
    "CacheStatistics",
    "Flights",
    "MemoryLevel",
    "ResponseCache",
    "cache_child",
    "endpoint_prefix",
)
