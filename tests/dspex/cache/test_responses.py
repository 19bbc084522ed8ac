"""The response cache keeps good answers, within its bounds, and counts what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from dspex.cache import ResponseCache
from dspex.config import CacheSettings
from dspex.errors import DeadlineExceeded, ErrorData, ErrorKind, ServerError
from dspex.messages import Choice, EmbedResponse, FinishReason, Response
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
        followed: Response | None = await cache.follow("k")
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

    @pytest.mark.parametrize(
        "finish", [FinishReason.ERROR, FinishReason.CONTENT_FILTER, FinishReason.UNKNOWN]
    )
    def test_a_malformed_answer_is_not_kept(self, finish: FinishReason) -> None:
        """Tomorrow the provider may do better."""
        cache = ResponseCache(CacheSettings())

        cache.put("k", response(finish=finish))

        assert cache.get("k") is None


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


class TestResults:
    async def test_what_a_program_kept_comes_back(self) -> None:
        """Results that are no model's answers have the same cache."""
        cache = ResponseCache(CacheSettings())
        cache.put_json("program", "k", {"answer": [1, "two", None]})

        assert {"answer": [1, "two", None]} == await cache.get_json("program", "k")

    async def test_namespaces_never_meet(self) -> None:
        """Not even where their names and keys run together to one text."""
        cache = ResponseCache(CacheSettings())
        cache.put_json("a", "b=c", 1)

        assert "none" == await cache.get_json("a=b", "c", "none")
        assert await cache.get_json("a", "b") is None

    async def test_each_reader_has_a_value_of_its_own(self) -> None:
        """What one does to it, the next does not see."""
        cache = ResponseCache(CacheSettings())
        cache.put_json("program", "k", [1])

        first = await cache.get_json("program", "k")
        first.append(2)

        assert [1] == await cache.get_json("program", "k")

    async def test_null_is_a_result(self) -> None:
        """It is told from none by the default."""
        cache = ResponseCache(CacheSettings())
        cache.put_json("program", "k", None)

        assert await cache.get_json("program", "k", "none") is None

    def test_what_is_no_json_is_the_makers_mistake(self) -> None:
        """It is no fault of a disk, and not hidden."""
        with pytest.raises(TypeError):
            ResponseCache(CacheSettings()).put_json("program", "k", object())


class TestVectors:
    def test_vectors_are_kept_like_words(self) -> None:
        """The same texts are embedded once."""
        cache = ResponseCache(CacheSettings())
        cache.put("k", EmbedResponse(((0.5, 1.5),), model="m", usage=Usage(input_tokens=3)))

        found: EmbedResponse | None = cache.get("k")

        assert found is not None
        assert (((0.5, 1.5),), True) == (found.vectors, found.cached)
        assert Usage(calls=1, cache_hits=1) == found.usage

    def test_no_vectors_are_no_answer(self) -> None:
        """Nothing was embedded: it is not kept."""
        cache = ResponseCache(CacheSettings())
        cache.put("k", EmbedResponse(()))

        assert cache.get("k") is None


class TestRetune:
    def test_a_lower_bound_is_kept_from_then_on(self) -> None:
        """What was there makes room, oldest first."""
        cache = ResponseCache(CacheSettings())
        for index in range(10):
            cache.put(str(index), response("x" * 1_000))

        cache.retune(CacheSettings(max_bytes=5_000))

        assert cache.get("0") is None
        assert cache.get("9") is not None
        assert cache.statistics().size_bytes <= 5_000
