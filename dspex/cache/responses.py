"""The response cache: answers in memory, over those on disk, and one flight per key."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex.cache.codec import (
    Answer,
    as_hit,
    decode_answer,
    decode_json,
    encode_answer,
    encode_json,
    is_well_formed,
)
from dspex.cache.flight import Flights
from dspex.cache.keys import disk_key, result_key
from dspex.cache.memory import MemoryLevel
from dspex.cache.statistics import CacheStatistics
from dspex.errors import BudgetExceeded, DeadlineExceeded, ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex.cache.disk.store import DiskStore
    from dspex.config import CacheSettings

__all__ = ("ResponseCache",)


class ResponseCache:
    """Whole answers, words or vectors, and other results by key.

    Safe to use from any number of tasks of one event loop; not thread-safe. A hit in memory costs
    about a microsecond, one on disk about thirty. Only well-formed answers are kept: see
    `codec.is_well_formed`. The disk level may come and go (`disk`); None while there is none.

    Who finds nothing with `get` may `lead`, and then must `land` an answer or `fail`; it looks on
    disk with `fetch` first. Everybody else who asks for that key meanwhile `follow`s.
    """

    __slots__ = ("_disk_hits", "_flights", "_hits", "_memory", "_misses", "_shared", "disk")

    def __init__(
        self, settings: CacheSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._memory = MemoryLevel(settings.max_bytes, settings.ttl_s, clock)
        self._flights: Flights[Answer] = Flights(_holds_for_all)
        self._hits = 0
        self._disk_hits = 0
        self._misses = 0
        self._shared = 0
        self.disk: DiskStore | None = None

    def __repr__(self) -> str:
        return f"<ResponseCache {self._memory!r} over {self.disk!r}, {self._flights!r}>"

    def get(self, key: str) -> Any:
        """Return the answer from memory as a hit, marked `cached`, with nothing used; else None.

        It is of the kind that was put there: a key holds the digest of what was asked.
        """
        found = self._memory.get(key)
        if found is None:
            self._misses += 1
        else:
            self._hits += 1

        return found

    async def fetch(self, key: str) -> Any:
        """Return the answer from disk as a hit, after `get` found none; keep it in memory."""
        found = await self._read(key, decode_answer)
        if found is None:
            return None

        answer, age_s = found
        self._memory.put(key, answer, age_s=age_s)
        return answer

    def put(self, key: str, answer: Answer) -> None:
        """Keep `answer`, unless it is malformed or larger than a level."""
        if not is_well_formed(answer):
            return

        self._memory.put(key, answer)
        if self.disk is not None:
            self.disk.put(disk_key(key), partial(encode_answer, answer))

    async def get_json(self, namespace: str, key: str, default: Any = None) -> Any:
        """Return a result of another kind from whatever level has it, else `default`.

        Args:
            namespace: who keeps it: keys of different namespaces never meet.
            key: a digest of everything the result depends on.
            default: what to return when there is none.
        """
        name = result_key(namespace, key)
        kept = self._memory.get_bytes(name)
        if kept is not None:
            self._hits += 1
            return decode_json(kept)

        self._misses += 1
        found = await self._read(name, decode_json)
        if found is None:
            return default

        value, age_s = found
        self._memory.put_bytes(name, encode_json(value), age_s=age_s)
        return value

    def put_json(self, namespace: str, key: str, value: Any) -> None:
        """Keep a result that is JSON; raises TypeError if it is not."""
        name, encoded = result_key(namespace, key), encode_json(value)
        self._memory.put_bytes(name, encoded)
        if self.disk is not None:
            self.disk.put(disk_key(name), lambda: encoded)

    def lead(self, key: str) -> bool:
        """Tell whether nobody asks for `key` yet. If so the caller must: then `land` or `fail`."""
        return self._flights.lead(key)

    async def follow(self, key: str) -> Any:
        """Wait for an equal call's answer, as a hit; None makes the caller the one who asks."""
        answer = await self._flights.follow(key)
        if answer is None:
            return None

        self._shared += 1
        return as_hit(answer)

    def land(self, key: str, answer: Answer, *, keep: bool = True) -> None:
        """Hand the answer to all who wait for it, and keep it."""
        self._flights.land(key, answer)
        if keep:
            self.put(key, answer)

    def fail(self, key: str, exc: BaseException, *, own: bool = False) -> None:
        """Hand the error to all who wait, or the lead to the next if it was the leader's own."""
        self._flights.fail(key, exc, own=own)

    def retune(self, settings: CacheSettings) -> None:
        """Take other bounds while it runs; the file stays the one it is."""
        self._memory.retune(settings.max_bytes, settings.ttl_s)
        if self.disk is not None:
            self.disk.retune(settings.disk_max_bytes, settings.ttl_s)

    def statistics(self) -> CacheStatistics:
        """Return a snapshot of the counters."""
        return CacheStatistics(
            entries=len(self._memory),
            size_bytes=self._memory.size_bytes,
            memory_hits=self._hits,
            disk_hits=self._disk_hits,
            misses=self._misses - self._disk_hits,
            shared=self._shared,
            disk=None if self.disk is None else self.disk.statistics(),
        )

    async def _read(self, key: str, decode: Callable[[bytes], Any]) -> tuple[Any, float] | None:
        disk = self.disk
        if disk is None:
            return None

        place = disk_key(key)
        row = await disk.get(place)
        if row is None or row.value is None:
            return None

        try:
            value = decode(row.value)
        except ValueError:
            disk.discard(place, row)
            return None

        self._disk_hits += 1
        return value, disk.age_s(row)


def _holds_for_all(error: Exception) -> bool:
    """Tell whether every equal call would have met this error, whoever had asked."""
    return isinstance(error, ProviderError) and not isinstance(
        error, (DeadlineExceeded, BudgetExceeded)
    )
