"""The response cache: least recently used answers in memory, one flight per key."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from operator import itemgetter
from sys import getsizeof
from typing import TYPE_CHECKING, TypeAlias

from cachetools import LRUCache, TTLCache

from dspex.cache.flight import Flights
from dspex.errors import BudgetExceeded, DeadlineExceeded, ProviderError
from dspex.messages import Choice, FinishReason, Response
from dspex.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex.config import CacheSettings

__all__ = ("CacheStatistics", "ResponseCache", "cache_child")

_OVERHEAD_BYTES = 1_000
"""About what the objects around an answer's text weigh."""

_HIT = Usage(calls=1, cache_hits=1)
_MALFORMED = frozenset({FinishReason.ERROR, FinishReason.CONTENT_FILTER, FinishReason.UNKNOWN})

_Plain: TypeAlias = tuple[int, str, str, str | None, str | None, str, str, str | None]
"""Size; text, finish reason, reasoning, refusal, model, endpoint, request id of a plain answer."""

_Entry: TypeAlias = _Plain | tuple[int, Response]
_SIZE: Callable[[_Entry], int] = itemgetter(0)
_Store: TypeAlias = LRUCache[str, _Entry] | TTLCache[str, _Entry]


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
            LRUCache(settings.max_bytes, getsizeof=_SIZE)
            if settings.ttl_s is None
            else TTLCache(settings.max_bytes, settings.ttl_s, timer=clock, getsizeof=_SIZE)
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
        return _unpack(found)

    def put(self, key: str, response: Response) -> None:
        """Keep `response`, unless it is malformed or larger than the whole cache."""
        if not _is_well_formed(response):
            return

        entry = _pack(response)
        if entry[0] <= self._store.maxsize:
            self._store[key] = entry

    def lead(self, key: str) -> bool:
        """Tell whether nobody asks for `key` yet. If so the caller must: then `land` or `fail`."""
        return self._flights.lead(key)

    async def follow(self, key: str) -> Response | None:
        """Wait for an equal call's answer, as a hit; None makes the caller the one who asks."""
        response = await self._flights.follow(key)
        if response is None:
            return None

        self._shared += 1
        return _as_hit(response)

    def land(self, key: str, response: Response, *, keep: bool = True) -> None:
        """Hand the answer to all who wait for it, and keep it."""
        self._flights.land(key, response)
        if keep:
            self.put(key, response)

    def fail(self, key: str, exc: BaseException, *, own: bool = False) -> None:
        """Hand the error to all who wait, or the lead to the next if it was the leader's own."""
        self._flights.fail(key, exc, own=own)

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


def _pack(response: Response) -> _Entry:
    """Return the answer with its size: as plain values, if they say it all.

    The garbage collector does not follow a tuple of plain values: a cache of a million answers kept
    as objects would slow every collection of the process.
    """
    choice = response.choices[0]
    if len(response.choices) > 1 or choice.tool_calls or response.dropped:
        return _weigh(response), response

    return (
        _OVERHEAD_BYTES + getsizeof(choice.text) + getsizeof(choice.reasoning),
        choice.text,
        choice.finish_reason.value,
        choice.reasoning,
        choice.refusal,
        response.model,
        response.endpoint,
        response.request_id,
    )


def _unpack(entry: _Entry) -> Response:
    if len(entry) == 2:
        return _as_hit(entry[1])

    _, text, finish, reasoning, refusal, model, endpoint, request_id = entry
    choice = Choice(text, finish_reason=FinishReason(finish), reasoning=reasoning, refusal=refusal)
    return Response(
        (choice,), model=model, endpoint=endpoint, usage=_HIT, request_id=request_id, cached=True
    )


def _weigh(response: Response) -> int:
    return _OVERHEAD_BYTES + sum(
        getsizeof(choice.text)
        + getsizeof(choice.reasoning)
        + sum(getsizeof(call.arguments) for call in choice.tool_calls)
        for choice in response.choices
    )


def _is_well_formed(response: Response) -> bool:
    choices = response.choices
    if len(choices) == 1:
        return choices[0].finish_reason not in _MALFORMED

    return bool(choices) and all(choice.finish_reason not in _MALFORMED for choice in choices)


def _holds_for_all(error: Exception) -> bool:
    """Tell whether every equal call would have met this error, whoever had asked."""
    return isinstance(error, ProviderError) and not isinstance(
        error, (DeadlineExceeded, BudgetExceeded)
    )


async def cache_child(settings: CacheSettings, *, ready: Callable[[object], None]) -> None:
    """Own a ResponseCache for as long as the child lives."""
    # The loop's clock, not the system's: what waits on one and ages by the other drifts.
    ready(ResponseCache(settings, asyncio.get_running_loop().time))
    await asyncio.Event().wait()
