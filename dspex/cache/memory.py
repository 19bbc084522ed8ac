"""The response cache: least recently used answers in memory, one flight per key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from cachetools import LRUCache, TTLCache

from dspex.cache.flight import Flights
from dspex.config import CacheSettings
from dspex.errors import BudgetExceeded, DeadlineExceeded, ProviderError
from dspex.messages import FinishReason, Response
from dspex.usage import Usage

__all__ = ("CacheStatistics", "ResponseCache", "cache_child")

_OVERHEAD_BYTES = 1_000
"""About what the objects around an answer's text weigh."""

_HIT = Usage(calls=1, cache_hits=1)

_Store: TypeAlias = LRUCache[str, Response] | TTLCache[str, Response]


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """What the cache holds and how often it helped; `shared` counts followers of a flight."""

    entries: int
    size_bytes: int
    hits: int
    misses: int
    shared: int


class ResponseCache:
    """Whole responses by key, in memory.

    Safe to use from any number of tasks of one event loop; not thread-safe. A hit costs about a
    microsecond. Only well-formed answers are kept: not one the provider cut or filtered.
    """

    __slots__ = ("_flights", "_hits", "_misses", "_shared", "_store")

    def __init__(
        self, settings: CacheSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store: _Store = (
            LRUCache(settings.max_bytes, getsizeof=_size_bytes)
            if settings.ttl_s is None
            else TTLCache(settings.max_bytes, settings.ttl_s, timer=clock, getsizeof=_size_bytes)
        )
        self._flights: Flights[Response] = Flights(_holds_for_all)
        self._hits = 0
        self._misses = 0
        self._shared = 0

    def __repr__(self) -> str:
        return f"<ResponseCache {len(self._store)} entries, {self._hits} hits, {self._flights!r}>"

    def get(self, key: str) -> Response | None:
        """Return the answer as a cache hit: marked `cached`, with nothing used."""
        found = self._store.get(key)
        if found is None:
            self._misses += 1
            return None

        self._hits += 1
        return _as_hit(found)

    def put(self, key: str, response: Response) -> None:
        """Keep `response`, unless it is malformed or larger than the whole cache."""
        if _is_well_formed(response) and _size_bytes(response) <= self._store.maxsize:
            self._store[key] = response

    async def share(self, key: str, ask: Callable[[], Awaitable[Response]]) -> Response:
        """Ask, or wait for an equal call that is under way."""
        response, asked = await self._flights.fly(key, ask)
        if asked:
            return response

        self._shared += 1
        return _as_hit(response)

    def statistics(self) -> CacheStatistics:
        """Return a snapshot of the counters."""
        return CacheStatistics(
            entries=len(self._store),
            size_bytes=int(self._store.currsize),
            hits=self._hits,
            misses=self._misses,
            shared=self._shared,
        )


def _as_hit(response: Response) -> Response:
    return replace(response, cached=True, usage=_HIT, attempts=(), latency_s=0.0)


def _size_bytes(response: Response) -> int:
    return _OVERHEAD_BYTES + sum(
        len(choice.text) + len(choice.reasoning or "") + sum(len(c.arguments) for c in choice.tool_calls)
        for choice in response.choices
    )


def _is_well_formed(response: Response) -> bool:
    bad = (FinishReason.ERROR, FinishReason.CONTENT_FILTER, FinishReason.UNKNOWN)
    return bool(response.choices) and all(c.finish_reason not in bad for c in response.choices)


def _holds_for_all(error: Exception) -> bool:
    """Tell whether every equal call would have met this error, whoever had asked."""
    return isinstance(error, ProviderError) and not isinstance(
        error, (DeadlineExceeded, BudgetExceeded)
    )


async def cache_child(settings: CacheSettings, *, ready: Callable[[object], None]) -> None:
    """Own a ResponseCache for as long as the child lives."""
    ready(ResponseCache(settings))
    await asyncio.Event().wait()
