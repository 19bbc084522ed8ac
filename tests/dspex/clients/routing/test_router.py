"""One client out of several: who is asked, in what order, and what it costs in time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from dspex import effects
from dspex.clients.client import Client
from dspex.clients.routing.router import Router
from dspex.config import BreakerSettings, ModelPrice
from dspex.effects import Effect, LiveGate
from dspex.errors import (
    AuthError,
    CircuitOpen,
    ConfigError,
    ContextWindowExceeded,
    DeadlineExceeded,
    ProtocolError,
    ProviderError,
    ServerError,
    UnsupportedFeature,
)
from dspex.messages import Response, StreamEnd, StreamEvent, TextDelta
from dspex.telemetry.events import SETTINGS_CHANGED
from dspex.testing import FakeReply, FakeTransport, chat_reply
from dspex.usage import UsageMeter
from tests.support.fleet import fleet
from tests.support.pipeline import answers, ask, chunk, error_reply

pytestmark = pytest.mark.virtual_time

DONE = (chunk("yes", finish_reason="stop"), b"data: [DONE]\n\n")


def good(text: str, delay_s: float = 0.1) -> FakeTransport:
    return FakeTransport(answers(chat_reply(text, delay_s=delay_s)))


def bad(*replies: FakeReply | Exception) -> FakeTransport:
    return FakeTransport(answers(*replies))


def streaming(*parts: bytes | float | Exception) -> FakeTransport:
    return FakeTransport(answers(FakeReply(parts=parts)))


class TestValue:
    async def test_is_equal_by_what_it_names_and_how(self) -> None:
        """And one object for each way of naming it, since it learns."""
        async with fleet({"a": good("a"), "b": good("b")}) as runtime:
            router = runtime.client(["a/m", "b/m"], policy="weighted", weights={"a/m": 2})

            assert isinstance(router, Router)
            assert router is runtime.client(["a/m", "b/m"], policy="weighted", weights={"a/m": 2})
            assert router != runtime.client(["a/m", "b/m"], policy="weighted")
            assert router != runtime.client(["a/m", "b/m"])
            assert "a/m | b/m" == router.name
            clients = [runtime.client("a/m"), runtime.client("b/m")]
            assert runtime.client(["a/m", "b/m"]) == Router(clients, rng=random.Random(1))
            assert isinstance(runtime.client("a/m"), Client)

    async def test_weights_change_while_it_is_used(self) -> None:
        """It stays the same router; a wrong weight changes nothing; the change is announced."""
        transports, told = {"a": good("a"), "b": good("b")}, list[object]()
        async with fleet(transports) as runtime:
            router = runtime.client(["a/m", "b/m"], policy="weighted")
            runtime.bus.attach(
                "test", SETTINGS_CHANGED, lambda *args: told.append(args[2]["changes"]), None
            )
            router.retune(weights={"a/m": 1e-6})
            with pytest.raises(ConfigError, match=r"weights\.c/m"):
                router.retune(weights={"c/m": 5})

            for n in range(20):
                await router.complete(ask(str(n)))

            assert router is runtime.client(["a/m", "b/m"], policy="weighted")

        assert len(transports["a"].requests) <= 1
        assert [{"weights": {"a/m": 1e-6}}] == told

    @pytest.mark.parametrize(
        ("names", "weights", "words"),
        [
            (["a/m"], {}, "two clients or more"),
            (["a/m", "a/m"], {}, "each once"),
            (["a/m", "b/m"], {"c/m": 1.0}, "weights.c/m"),
            (["a/m", "b/m"], {"a/m": 0.0}, "above 0"),
        ],
    )
    async def test_what_cannot_be_routed_is_refused(
        self, names: list[str], weights: dict[str, float], words: str
    ) -> None:
        """The error says which setting is wrong."""
        async with fleet({"a": good("a"), "b": good("b")}) as runtime:
            with pytest.raises(ConfigError, match=words):
                runtime.client(names, weights=weights)


class TestSpreading:
    async def test_calls_take_turns_and_say_who_answered(self) -> None:
        """Each provider gets its own model's name."""
        transports = {"a": good("from a"), "b": good("from b")}
        async with fleet(transports) as runtime:
            router = runtime.client(["a/large", "b/small"])
            responses = [await router.complete(ask(str(n))) for n in range(4)]

        assert ["a", "b", "a", "b"] == [response.endpoint for response in responses]
        assert ("large", "small") == (
            transports["a"].requests[0]["model"],
            transports["b"].requests[0]["model"],
        )

    async def test_the_least_loaded_takes_more_when_the_other_is_slow(self) -> None:
        """In proportion to what each one gets done."""
        transports = {"a": good("a", 1.0), "b": good("b", 4.0)}
        async with fleet(transports) as runtime:
            router = runtime.client(["a/m", "b/m"], policy="least_loaded")
            await effects.map(
                lambda n: router.complete(ask(str(n))), range(500), max_concurrency=10
            )

        assert len(transports["a"].requests) == pytest.approx(400, abs=20)

    async def test_the_fastest_is_found_and_lost_again(self) -> None:
        """An average that decays follows a provider that slows down."""
        delays = {"a": 0.2, "b": 1.0}

        def transport(name: str) -> FakeTransport:
            return FakeTransport(lambda _: chat_reply(name, delay_s=delays[name]))

        async with fleet({"a": transport("a"), "b": transport("b")}) as runtime:
            router = runtime.client(["a/m", "b/m"], policy="lowest_latency")

            async def who(count: int) -> Counter[str]:
                found = await effects.map(
                    lambda n: router.complete(ask(str(n))), range(count), max_concurrency=4
                )
                return Counter(response.endpoint for response in found)

            first = await who(100)
            delays["a"] = 5.0
            await who(50)
            last = await who(100)

        assert first["a"] >= 95
        assert last["b"] >= 90

    async def test_the_cheapest_is_found_by_the_prices_of_the_settings(self) -> None:
        """Who has none is asked when nobody else is left."""
        prices = {
            "a": {"prices": {"m": _price(5)}},
            "b": {"prices": {"m": _price(1)}},
            "c": {},
        }
        transports = {"a": good("a"), "b": bad(error_reply(500)), "c": good("c")}
        async with fleet(transports, prices, max_retries=0) as runtime:
            router = runtime.client(["a/m", "b/m", "c/m"], policy="cheapest")
            response = await router.complete(ask())

        assert ("a", ["b"]) == (response.endpoint, [tried.endpoint for tried in response.attempts])

    async def test_what_belongs_together_stays_together(self) -> None:
        """As long as its client works."""
        transports = {"a": good("a"), "b": good("b"), "c": good("c")}
        async with fleet(transports) as runtime:
            router = runtime.client(["a/m", "b/m", "c/m"], sticky=True)

            async def ends(correlation_id: str) -> set[str]:
                with effects.scope(correlation_id=correlation_id):
                    return {(await router.complete(ask(str(n)))).endpoint for n in range(5)}

            found = [await ends(str(number)) for number in range(20)]

        assert all(len(ends) == 1 for ends in found)
        assert len(set.union(*found)) > 1

    async def test_a_queue_is_passed_by(self) -> None:
        """Who has quota free goes before who would make the call wait."""
        transports = {"a": good("a"), "b": good("b")}
        limits = {"a": {"requests_per_minute": 60.0}}
        async with fleet(transports, limits) as runtime:
            router = runtime.client(["a/m", "b/m"])
            await router.complete(ask("the first starts it"))
            began = asyncio.get_running_loop().time()
            await effects.map(lambda n: router.complete(ask(str(n))), range(20), max_concurrency=20)
            took_s = asyncio.get_running_loop().time() - began

        assert len(transports["b"].requests) >= 17
        assert took_s < 2.0


class TestFailover:
    @pytest.mark.parametrize(
        "reply",
        [
            error_reply(500),
            error_reply(401),
            error_reply(404),
            FakeReply(429, b'{"error": {"message": "m", "code": "insufficient_quota"}}'),
            ConnectionResetError(),
            FakeReply(200, b"<html>"),
        ],
        ids=["outage", "auth", "no model", "quota", "reset", "garbage"],
    )
    async def test_the_next_one_answers(self, reply: FakeReply | Exception) -> None:
        """The response says what failed before, and counts it."""
        transports = {"a": bad(reply), "b": good("yes")}
        meter = UsageMeter()
        async with fleet(transports, max_retries=1) as runtime:
            with effects.scope(meter=meter):
                response = await runtime.client(["a/m", "b/m"]).complete(ask())

        tries = len(transports["a"].requests)
        assert ("yes", "b", tries) == (response.text, response.endpoint, len(response.attempts))
        assert {"a"} == {tried.endpoint for tried in response.attempts}
        assert response.usage == meter.total
        assert tries == meter.total.failed_attempts

    async def test_one_that_fails_is_the_first_in_no_more_than_its_turns(self) -> None:
        """Failing over takes no turn: half of the calls never meet it."""
        transports = {"a": bad(error_reply(404)), "b": good("yes")}
        async with fleet(transports) as runtime:
            router = runtime.client(["a/m", "b/m"])
            for n in range(20):
                await router.complete(ask(str(n)))

        assert (10, 20) == tuple(len(transport.requests) for transport in transports.values())

    async def test_who_answers_too_late_counts_as_a_guess(self) -> None:
        """A provider that worked on it will bill it; meter and response agree on how much."""
        transports = {"a": good("late", delay_s=1e6), "b": good("yes")}
        meter = UsageMeter(by_model=True)
        async with fleet(transports) as runtime:
            with effects.scope(meter=meter):
                response = await runtime.client(["a/m", "b/m"]).complete(ask("x" * 400))

        assert response.usage == meter.total
        late = meter.usage_by_model["a/m"]
        assert (1, 101, 0, None) == (
            late.calls,
            late.input_tokens,
            late.output_tokens,
            late.cost_usd,
        )

    @pytest.mark.parametrize(
        "reply",
        [error_reply(400), error_reply(413)],
        ids=["wrong", "too large"],
    )
    async def test_a_wrong_request_is_not_passed_round(self, reply: FakeReply) -> None:
        """It would be wrong everywhere."""
        transports = {"a": bad(reply), "b": good("yes")}
        async with fleet(transports) as runtime:
            with pytest.raises(ProviderError):
                await runtime.client(["a/m", "b/m"]).complete(ask())

        assert 0 == len(transports["b"].requests)

    async def test_an_open_breaker_costs_no_time_and_no_request(self) -> None:
        """After the first failures the outage is no longer felt."""
        transports = {"a": bad(error_reply(500)), "b": good("yes", 0.0)}
        breaker = BreakerSettings(consecutive_failures=2, recovery_s=1_000)
        async with fleet(transports, breaker=breaker, max_retries=0) as runtime:
            router = runtime.client(["a/m", "b/m"])
            for n in range(20):
                await router.complete(ask(str(n)))

        assert 2 == len(transports["a"].requests)

    async def test_one_that_recovers_is_asked_again(self) -> None:
        """A call finds out, and while it fails the next client answers it."""
        replies = [error_reply(500), error_reply(500), chat_reply("back")]
        transports = {"a": bad(*replies), "b": good("yes", 0.0)}
        breaker = BreakerSettings(consecutive_failures=1, recovery_s=10)
        async with fleet(transports, breaker=breaker, max_retries=0) as runtime:
            router = runtime.client(["a/m", "b/m"])
            seen = list[str]()
            for n in range(12):
                seen.append((await router.complete(ask(str(n)))).text)
                await asyncio.sleep(3)

        assert {"yes", "back"} == set(seen)
        assert ["yes"] * 7 == seen[:7]

    async def test_all_down_lists_every_try_of_everybody(self) -> None:
        """Each was asked once, with its own retries."""
        transports = {"a": bad(error_reply(500)), "b": bad(error_reply(503))}
        async with fleet(transports, max_retries=2) as runtime:
            with pytest.raises(ServerError, match="b/m") as caught:
                await runtime.client(["a/m", "b/m"]).complete(ask())

        assert ["a"] * 3 + ["b"] * 3 == [tried.endpoint for tried in caught.value.attempts]
        assert (3, 3) == (len(transports["a"].requests), len(transports["b"].requests))

    async def test_all_open_is_an_open_circuit(self) -> None:
        """With the time when the first will be tried again, for whoever waits out an outage."""
        transports = {"a": bad(error_reply(500)), "b": bad(error_reply(500))}
        breakers = {
            name: {"breaker": BreakerSettings(consecutive_failures=1, recovery_s=recovery_s)}
            for name, recovery_s in (("a", 50.0), ("b", 20.0))
        }
        async with fleet(transports, breakers, max_retries=0) as runtime:
            router = runtime.client(["a/m", "b/m"])
            with pytest.raises(ServerError):
                await router.complete(ask())

            with pytest.raises(CircuitOpen) as caught:
                await router.complete(ask())

        assert caught.value.data.retry_after_s == pytest.approx(20.0)
        assert (1, 1) == (len(transports["a"].requests), len(transports["b"].requests))

    async def test_too_long_a_prompt_goes_to_a_longer_context(self) -> None:
        """And only there: a shorter one would refuse it as well."""
        long = FakeReply(400, b'{"error": {"message": "m", "code": "context_length_exceeded"}}')
        transports = {"a": bad(long), "b": bad(long), "c": good("yes")}
        contexts = {
            name: {"compat_overrides": {"context_tokens": tokens}}
            for name, tokens in (("a", 1_000), ("b", 500), ("c", 9_000))
        }
        async with fleet(transports, contexts) as runtime:
            response = await runtime.client(["a/m", "b/m", "c/m"]).complete(ask())
            with pytest.raises(ContextWindowExceeded):
                await runtime.client(["a/m", "b/m"]).complete(ask())

        assert "c" == response.endpoint
        assert 0 == len(transports["b"].requests)

    async def test_what_is_cached_stays_cached(self) -> None:
        """A response that others may hold is not written on."""
        transports = {"a": bad(error_reply(500)), "b": good("yes")}
        async with fleet(transports, cache=True, max_retries=0) as runtime:
            routed = await runtime.client(["a/m", "b/m"]).complete(ask())
            direct = await runtime.client("b/m").complete(ask())

        assert (1, True, ()) == (len(routed.attempts), direct.cached, direct.attempts)


class TestTime:
    async def test_each_has_a_fair_share(self) -> None:
        """A stalled primary leaves half of the time, and its try is on record."""
        transports = {"a": good("late", 1e6), "b": good("yes", 1.0)}
        async with fleet(transports) as runtime:
            response = await runtime.client(["a/m", "b/m"]).complete(ask(), timeout_s=10.0)

        assert "b" == response.endpoint
        assert response.latency_s == pytest.approx(6.0, abs=0.2)
        (late,) = response.attempts
        assert ("a", "deadline") == (late.endpoint, late.error.kind)
        assert 1 == response.usage.calls - 1

    async def test_the_whole_keeps_to_the_deadline(self) -> None:
        """However many stall."""
        transports = {name: good("late", 1e6) for name in "abcd"}
        async with fleet(transports) as runtime:
            began = asyncio.get_running_loop().time()
            with pytest.raises(DeadlineExceeded) as caught:
                await runtime.client([f"{name}/m" for name in "abcd"]).complete(
                    ask(), timeout_s=8.0
                )

            took_s = asyncio.get_running_loop().time() - began

        assert took_s == pytest.approx(8.0, abs=0.2)
        assert list("abcd") == sorted(tried.endpoint for tried in caught.value.attempts)

    async def test_the_scopes_deadline_is_the_whole(self) -> None:
        """Shares are parts of what is really left."""
        transports = {"a": good("late", 1e6), "b": good("yes", 1.0)}
        async with fleet(transports) as runtime:
            now = asyncio.get_running_loop().time()
            with effects.scope(deadline=now + 6.0):
                response = await runtime.client(["a/m", "b/m"]).complete(ask())

        assert response.latency_s == pytest.approx(4.0, abs=0.2)


class TestStream:
    async def test_before_the_first_token_the_next_one_answers(self) -> None:
        """Also when the stream had begun, as long as it had said nothing."""
        head = b'data: {"choices": [{"index": 0, "delta": {"role": "assistant"}}]}\n\n'
        transports = {"a": streaming(head, ConnectionResetError()), "b": streaming(*DONE)}
        async with fleet(transports, max_retries=0) as runtime:
            events = [event async for event in runtime.client(["a/m", "b/m"]).stream(ask())]

        assert ["StreamStart", "TextDelta", "StreamEnd"] == [type(e).__name__ for e in events]
        end = events[-1]
        assert isinstance(end, StreamEnd)
        assert ("b", ["a"]) == (
            end.response.endpoint,
            [tried.endpoint for tried in end.response.attempts],
        )

    async def test_after_a_token_the_stream_ends_in_its_error(self) -> None:
        """Nobody else is asked: the text so far cannot be taken back."""
        transports = {"a": streaming(chunk("half"), ConnectionResetError()), "b": streaming(*DONE)}
        texts = list[str]()
        async with fleet(transports) as runtime:
            stream = runtime.client(["a/m", "b/m"]).stream(ask())
            with pytest.raises(ProviderError) as caught:
                await _collect(stream, texts)

        assert (["half"], True, 0) == (
            texts,
            caught.value.data.delivered,
            len(transports["b"].requests),
        )

    async def test_a_silent_stream_leaves_time_for_the_next(self) -> None:
        """The share is for the first token; what flows may take the whole time."""
        slow = (chunk("a"), 3.0, chunk("b"), 3.0, *DONE)
        transports = {"a": streaming(1e6), "b": streaming(*slow)}
        async with fleet(transports) as runtime:
            router = runtime.client(["a/m", "b/m"])
            events = [event async for event in router.stream(ask(), timeout_s=14.0)]

        assert isinstance(events[-1], StreamEnd)
        assert (0, 0) == (transports["a"].in_flight, transports["b"].in_flight)

    async def test_a_malformed_first_chunk_fails_over(self) -> None:
        """It is no token."""
        transports = {"a": streaming(b"data: {broken\n\n"), "b": streaming(*DONE)}
        async with fleet(transports, max_retries=0) as runtime:
            events = [event async for event in runtime.client(["a/m", "b/m"]).stream(ask())]
            end = events[-1]

        assert isinstance(end, StreamEnd)
        assert "protocol" == end.response.attempts[0].error.kind

    async def test_all_down_raises(self) -> None:
        """With everybody's tries."""
        transports = {"a": streaming(b"data: {broken\n\n"), "b": bad(error_reply(401))}
        async with fleet(transports, max_retries=0) as runtime:
            with pytest.raises((AuthError, ProtocolError)) as caught:
                _ = [event async for event in runtime.client(["a/m", "b/m"]).stream(ask())]

        assert ["a", "b"] == [tried.endpoint for tried in caught.value.attempts]

    async def test_who_stops_early_holds_nothing(self) -> None:
        """The connection is given back when the generator is closed."""
        transports = {"a": streaming(chunk("a"), 1e6), "b": good("b")}
        async with fleet(transports) as runtime:
            stream = runtime.client(["a/m", "b/m"]).stream(ask())
            await anext(stream)
            await stream.aclose()
            assert 0 == transports["a"].in_flight == runtime.client("a/m").endpoint.in_flight


class Recording(LiveGate):
    """Keeps what passed."""

    def __init__(self, seen: list[tuple[str, str, Any]]) -> None:
        super().__init__()
        self.__dict__["seen"] = seen

    async def call(self, effect: Effect[Any]) -> Any:
        found = await effect.run()
        self.__dict__["seen"].append((effect.kind, effect.digest(), effect.encode(found)))
        return found


class TestGate:
    @pytest.mark.parametrize("streamed", [True, False])
    async def test_a_call_passes_the_gate_once(self, *, streamed: bool) -> None:
        """What is on record does not depend on who was asked."""
        transports = {"a": bad(error_reply(500)), "b": good("yes")}
        seen = list[tuple[str, str, Any]]()
        async with fleet(transports, max_retries=0) as runtime:
            router = runtime.client(["a/m", "b/m"])
            with effects.scope(gate=Recording(seen)):
                if streamed:
                    _ = [event async for event in router.stream(ask())]
                else:
                    await router.complete(ask())

        ((kind, digest, found),) = seen
        assert ("model", ask().digest()) == (kind, digest)
        assert "yes" == Response.from_dict(found).text


async def _collect(stream: AsyncIterator[StreamEvent], texts: list[str]) -> None:
    async for event in stream:
        if isinstance(event, TextDelta):
            texts.append(event.text)  # noqa: PERF401 - what came before the error is wanted


def _price(usd: float) -> ModelPrice:
    return ModelPrice(input_usd_per_million_tokens=usd, output_usd_per_million_tokens=usd)


class TestEmbed:
    async def test_vectors_fail_over_too(self) -> None:
        """Between endpoints of one model."""
        vectors = orjson.dumps(
            {"model": "m", "data": [{"index": 0, "embedding": [1.0, 2.0]}], "usage": {}}
        )
        transports = {"a": bad(error_reply(500)), "b": bad(FakeReply(200, vectors))}
        async with fleet(transports, max_retries=0) as runtime:
            response = await runtime.client(["a/m", "b/m"]).embed(["text"])

        assert ("b", 1) == (response.endpoint, response.usage.failed_attempts)
        assert (1.0, 2.0) == tuple(response.vectors[0])

    async def test_vectors_of_different_models_do_not_mix(self) -> None:
        """A search over both would compare what cannot be compared."""
        async with fleet({"a": good("a"), "b": good("b")}) as runtime:
            with pytest.raises(UnsupportedFeature, match="large, small"):
                await runtime.client(["a/large", "b/small"]).embed(["text"])
