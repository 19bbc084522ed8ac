"""The response cache keeps good answers, within its bounds, and counts what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from dspex.cache import ResponseCache, cache_child
from dspex.config import CacheSettings
from dspex.errors import DeadlineExceeded, ErrorData, ErrorKind, ServerError
from dspex.messages import Choice, FinishReason, Response
from dspex.testing import FakeClock
from dspex.usage import Usage


def response(text: str = "yes", finish: FinishReason = FinishReason.STOP) -> Response:
    return Response(
        (Choice(text, finish_reason=finish),),
        usage=Usage(input_tokens=5, cost_usd=Decimal(1), calls=1),
        latency_s=2.0,
    )


async def share(cache: ResponseCache, ask: Callable[[], Awaitable[Response]]) -> Response:
    """Ask or follow, as a client does."""
    if not cache.lead("k"):
        followed = await cache.follow("k")
        if followed is not None:
            return followed

    try:
        answer = await ask()
    except BaseException as exc:
        cache.fail("k", exc)
        raise

    cache.land("k", answer)
    return answer


class TestGetAndPut:
    def test_a_hit_is_marked_and_used_nothing(self) -> None:
        """What comes from the cache was not paid for again."""
        cache = ResponseCache(CacheSettings())
        cache.put("k", response())

        found = cache.get("k")

        assert found is not None
        assert ("yes", True, 0.0) == (found.text, found.cached, found.latency_s)
        assert Usage(calls=1, cache_hits=1) == found.usage

    def test_a_miss_is_none_and_counted(self) -> None:
        """Hits and misses tell whether the cache earns its memory."""
        cache = ResponseCache(CacheSettings())
        cache.put("k", response())
        cache.get("k")
        cache.get("other")

        counters = cache.statistics()

        assert (1, 1, 1) == (counters.hits, counters.misses, counters.entries)

    def test_the_oldest_unused_answers_make_room(self) -> None:
        """The bound is in bytes and holds."""
        cache = ResponseCache(CacheSettings(max_bytes=5_000))
        for index in range(10):
            cache.put(str(index), response("x" * 100))

        assert cache.get("0") is None
        assert cache.get("9") is not None
        assert cache.statistics().size_bytes <= 5_000

    def test_the_bound_is_in_bytes_and_not_in_characters(self) -> None:
        """A character outside of ASCII takes up to four bytes of memory."""
        cache = ResponseCache(CacheSettings(max_bytes=100_000))
        for index in range(10):
            cache.put(str(index), response("\N{GRINNING FACE}" * 10_000))

        assert cache.statistics().entries == 2

    def test_an_answer_larger_than_the_cache_is_not_kept(self) -> None:
        """It is no error either: the call has its answer."""
        cache = ResponseCache(CacheSettings(max_bytes=2_000))

        cache.put("k", response("x" * 5_000))

        assert cache.get("k") is None

    def test_an_old_answer_is_asked_anew(self) -> None:
        """After the time to live it is gone."""
        clock = FakeClock()
        cache = ResponseCache(CacheSettings(ttl_s=60.0), clock)
        cache.put("k", response())

        clock.advance(59.0)
        assert cache.get("k") is not None
        clock.advance(2.0)
        assert cache.get("k") is None

    @pytest.mark.parametrize(
        "finish", [FinishReason.ERROR, FinishReason.CONTENT_FILTER, FinishReason.UNKNOWN]
    )
    def test_a_malformed_answer_is_not_kept(self, finish: FinishReason) -> None:
        """Tomorrow the provider may do better."""
        cache = ResponseCache(CacheSettings())

        cache.put("k", response(finish=finish))

        assert cache.get("k") is None


class TestChild:
    @pytest.mark.virtual_time
    async def test_answers_age_by_the_clock_of_the_loop(self) -> None:
        """What waits on one clock and ages by another drifts."""
        up: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        child = asyncio.create_task(cache_child(CacheSettings(ttl_s=60.0), ready=up.set_result))
        cache: ResponseCache = await up
        cache.put("k", response())

        await asyncio.sleep(59.0)
        assert cache.get("k") is not None
        await asyncio.sleep(2.0)
        assert cache.get("k") is None

        child.cancel()
        await asyncio.wait([child])


class TestShare:
    async def test_followers_get_the_answer_as_a_hit(self) -> None:
        """Ten equal calls at once are paid for once."""
        cache = ResponseCache(CacheSettings())
        asked = 0

        async def ask() -> Response:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0)
            return response()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(share(cache, ask)) for _ in range(10)]

        total = Usage()
        for task in tasks:
            total = total + task.result().usage

        assert (1, 10, 9, 5) == (asked, total.calls, total.cache_hits, total.input_tokens)
        assert 9 == cache.statistics().shared

    @pytest.mark.parametrize(
        ("error", "calls"),
        [
            (ServerError(ErrorData(ErrorKind.SERVER, "down")), 1),
            (DeadlineExceeded(ErrorData(ErrorKind.DEADLINE, "mine")), 3),
        ],
    )
    async def test_an_outage_is_shared_and_a_deadline_is_not(
        self, error: Exception, calls: int
    ) -> None:
        """What only the leader met is tried again by the next."""
        cache = ResponseCache(CacheSettings())
        asked = 0

        async def ask() -> Response:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0)
            raise error

        async def one() -> str:
            with pytest.raises(type(error)):
                await share(cache, ask)

            return "failed"

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one()) for _ in range(3)]

        assert ["failed"] * 3 == [task.result() for task in tasks]
        assert calls == asked
