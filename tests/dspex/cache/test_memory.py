"""Answers stay in memory within the bounds, whole, and leave in the order of their use."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.cache import MemoryLevel
from dspex.cache.codec import as_hit
from dspex.messages import (
    Choice,
    Citation,
    EmbedResponse,
    FinishReason,
    ReasoningPart,
    Response,
    TokenLogprob,
    ToolCall,
)
from dspex.testing import FakeClock


def response(text: str = "yes") -> Response:
    return Response((Choice(text),), model="m", endpoint="e", request_id="r")


class TestBounds:
    def test_the_oldest_unused_answers_make_room(self) -> None:
        """The bound is in bytes and holds."""
        cache = MemoryLevel(5_000)
        for index in range(10):
            cache.put(str(index), response("x" * 100))

        assert cache.get("0") is None
        assert cache.get("9") is not None
        assert cache.size_bytes <= 5_000

    def test_the_bound_is_in_bytes_and_not_in_characters(self) -> None:
        """A character outside of ASCII takes up to four bytes of memory."""
        cache = MemoryLevel(100_000)
        for index in range(10):
            cache.put(str(index), response("\N{GRINNING FACE}" * 10_000))

        assert len(cache) == 2

    def test_an_answer_larger_than_the_cache_is_not_kept(self) -> None:
        """It is no error either: the call has its answer."""
        cache = MemoryLevel(2_000)

        cache.put("k", response("x" * 5_000))

        assert cache.get("k") is None

    def test_an_old_answer_is_asked_anew(self) -> None:
        """After the time to live it is gone."""
        clock = FakeClock()
        cache = MemoryLevel(100_000, 60.0, clock)
        cache.put("k", response())

        clock.advance(59.0)
        assert cache.get("k") is not None
        clock.advance(2.0)
        assert cache.get("k") is None

    def test_what_comes_from_disk_has_lived_already(self) -> None:
        """Its way through memory does not make it young again."""
        clock = FakeClock()
        cache = MemoryLevel(100_000, 60.0, clock)
        cache.put("k", response(), age_s=50.0)

        clock.advance(11.0)

        assert cache.get("k") is None

    def test_reading_an_answer_keeps_it(self) -> None:
        """The least recently used one goes first."""
        cache = MemoryLevel(3_500)
        for key in ("a", "b", "c"):
            cache.put(key, response())

        cache.get("a")
        cache.put("d", response())

        assert cache.get("a") is not None
        assert cache.get("b") is None

    @given(
        bound=st.integers(1_000, 50_000),
        sizes=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20_000)), max_size=40),
    )
    def test_the_count_of_bytes_is_that_of_the_entries(
        self, bound: int, sizes: list[tuple[int, int]]
    ) -> None:
        """Whatever is put, replaced and refused: the sum is right and within the bound."""
        cache = MemoryLevel(bound)
        for key, size in sizes:
            cache.put_bytes(str(key), b"x" * size)

        kept = [value for key in range(10) if (value := cache.get_bytes(str(key))) is not None]

        assert sum(1_000 + len(value) for value in kept) == cache.size_bytes <= bound

    def test_a_bound_that_is_lowered_is_reached_in_steps(self) -> None:
        """A million entries do not go in one turn of the loop."""
        cache = MemoryLevel(10**9)
        for index in range(2_500):
            cache.put_bytes(str(index), b"")

        cache.retune(10_000, None)
        assert len(cache) == 1_500

        cache.put_bytes("new", b"")
        cache.put_bytes("newer", b"")
        assert cache.size_bytes <= 10_000


class TestWhole:
    @pytest.mark.parametrize(
        "choice",
        [
            Choice(
                "", finish_reason=FinishReason.TOOL_CALLS, tool_calls=(ToolCall("1", "f", "{}"),)
            ),
            Choice("x", thinking=(ReasoningPart("hm", signature="s"), ReasoningPart("ha", id="2"))),
            Choice("x", logprobs=(TokenLogprob("x", -0.5, (("y", -1.0),)),)),
            Choice("x", citations=(Citation("quoted", source="s"),)),
            Choice("x", reasoning="hm", refusal="no", finish_reason=FinishReason.LENGTH),
        ],
    )
    def test_nothing_of_an_answer_is_lost(self, choice: Choice) -> None:
        """A hit says what the provider said."""
        cache = MemoryLevel(100_000)
        answer = Response((choice,), model="m", endpoint="e", request_id="r")

        cache.put("k", answer)

        assert as_hit(answer) == cache.get("k")

    def test_large_vectors_count(self) -> None:
        """A cache of vectors would otherwise hold a multiple of its bound."""
        cache = MemoryLevel(100_000)

        cache.put("k", EmbedResponse(((0.5,) * 10_000,)))

        assert cache.get("k") is None

    def test_an_answer_is_no_bytes_and_bytes_are_no_answer(self) -> None:
        """Who asks for the other kind finds nothing."""
        cache = MemoryLevel(100_000)
        cache.put("answer", response())
        cache.put_bytes("bytes", b"1")

        assert (None, None) == (cache.get_bytes("answer"), cache.get("bytes"))
