"""A budget holds for whole calls: to the token, to the cent, to the second."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from dspex import effects
from dspex.clients.limits.budget import Budget, LocalBudget
from dspex.clients.limits.estimates import DEFAULT_OUTPUT_TOKENS
from dspex.clients.limits.spending import budget
from dspex.config import ModelPrice
from dspex.errors import BudgetExceeded, ConfigError, DeadlineExceeded
from dspex.messages import Sampling
from dspex.testing import FakeReply, FakeTransport, chat_reply
from tests.support.pipeline import answers, ask, error_reply, runtime_on

pytestmark = pytest.mark.virtual_time

PRICE = ModelPrice(input_usd_per_million_tokens=1, output_usd_per_million_tokens=10)


class TestTokens:
    async def test_an_answer_without_a_bound_gets_one(self) -> None:
        """It is sent, so that it holds, and the response says that it was added."""
        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport) as runtime:
            with budget(tokens=10_000):
                response = await runtime.client().complete(ask())

        assert DEFAULT_OUTPUT_TOKENS == transport.requests[0]["max_completion_tokens"]
        (added,) = response.dropped
        assert ("max_tokens", DEFAULT_OUTPUT_TOKENS) == (added.name, added.applied)

    async def test_the_endpoints_own_bound_comes_first(self) -> None:
        """What the model can at most say is known for some."""
        transport = FakeTransport(answers(chat_reply("yes")))
        overrides = {"max_output_tokens": 77}
        async with runtime_on(transport, compat_overrides=overrides) as runtime:
            with budget(tokens=10_000):
                await runtime.client().complete(ask())

        assert 77 == transport.requests[0]["max_completion_tokens"]

    async def test_a_budget_of_calls_changes_no_request(self) -> None:
        """What it does not count needs no bound."""
        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport) as runtime:
            with budget(calls=5):
                response = await runtime.client().complete(ask())

        assert "max_completion_tokens" not in transport.requests[0]
        assert () == response.dropped

    async def test_the_cache_knows_the_question_without_the_bound(self) -> None:
        """A run under a budget finds what one without has asked, and the other way round."""
        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport, cache=True) as runtime:
            with budget(tokens=10_000):
                await runtime.client().complete(ask())

            again = await runtime.client().complete(ask())

        assert (True, 1) == (again.cached, len(transport.requests))

    async def test_the_cache_keeps_no_answer_that_a_budget_cut_off(self) -> None:
        """Whoever asks without a budget gets all of it; a bound of the caller's own is kept."""
        message = {"role": "assistant", "content": "ye"}
        choice = {"index": 0, "message": message, "finish_reason": "length"}
        stump = FakeReply(200, orjson.dumps({"model": "model", "choices": [choice]}))
        transport = FakeTransport(answers(stump))
        async with runtime_on(transport, cache=True) as runtime:
            client = runtime.client()
            with budget(tokens=10_000):
                await client.complete(ask())
                again = await client.complete(ask())
                own = ask("own", sampling=Sampling(max_tokens=5))
                kept = [await client.complete(own) for _ in range(2)]

        assert not again.cached
        assert [False, True] == [response.cached for response in kept]

    @pytest.mark.parametrize("bounded", [True, False])
    async def test_ten_thousand_at_once_never_overshoot(self, *, bounded: bool) -> None:
        """Calls wait for what others give back, and all that fit are made."""
        transport = FakeTransport(
            answers(chat_reply("yes", input_tokens=3, output_tokens=97, delay_s=1.0))
        )
        purse = LocalBudget(Budget(tokens=200_000))
        sampling = Sampling(max_tokens=100) if bounded else Sampling()
        async with runtime_on(transport, call_timeout_s=10_000.0) as runtime:
            client = runtime.client()

            async def one(n: int) -> bool:
                try:
                    await client.complete(ask(str(n), sampling=sampling))
                except BudgetExceeded:
                    return False

                return True

            with effects.scope(budget=purse):
                made = sum(await effects.map(one, range(10_000), max_concurrency=10_000))

        used = purse.statistics().used_tokens
        most = 120 if bounded else DEFAULT_OUTPUT_TOKENS + 20
        assert 200_000 - most <= used <= 200_000
        assert 100 * made == used == 100 * len(transport.requests)

    async def test_a_server_that_does_not_count_is_charged_the_most(self) -> None:
        """Zero tokens in an answer are no tokens that were counted."""
        transport = FakeTransport(answers(chat_reply("yes", input_tokens=0, output_tokens=0)))
        async with runtime_on(transport) as runtime:
            with budget(tokens=1_000) as purse:
                await runtime.client().complete(ask(sampling=Sampling(max_tokens=100)))

        assert 100 <= purse.statistics().used_tokens <= 120

    async def test_waiting_for_room_ends_with_the_deadline(self) -> None:
        """The error says that it was the budget that was waited for, and nothing is held."""
        transport = FakeTransport(answers(chat_reply("yes", delay_s=50.0)))
        async with runtime_on(transport) as runtime:
            client = runtime.client()
            with budget(tokens=1_500) as purse:
                first, second = await effects.map(
                    lambda limit_s: _caught(
                        client.complete(
                            ask(str(limit_s), sampling=Sampling(max_tokens=1_000)),
                            timeout_s=limit_s,
                        )
                    ),
                    [100.0, 10.0],
                )

        assert first is None
        assert isinstance(second, DeadlineExceeded)
        assert "budget" == second.data.stage
        assert (15, 0) == (purse.statistics().used_tokens, purse.statistics().reserved_tokens)


class TestDollars:
    async def test_what_was_used_is_counted_to_the_cent(self) -> None:
        """The most is set aside, the true cost is settled."""
        transport = FakeTransport(answers(chat_reply("yes", input_tokens=100, output_tokens=50)))
        async with runtime_on(transport, prices={"model": PRICE}) as runtime:
            with budget(usd="0.05") as purse:
                await runtime.client().complete(ask())

        statistics = purse.statistics()
        assert (Decimal("0.0006"), Decimal(0)) == (statistics.used_usd, statistics.reserved_usd)

    @pytest.mark.parametrize("bounds", [{"usd": 1}, {"calls": 5}, {"tokens": 10_000}])
    async def test_vectors_are_counted_to_the_cent_too(self, bounds: dict[str, Any]) -> None:
        """Under any bound, at their own price and not at the most they could cost."""
        vectors = {
            "data": [{"index": 0, "embedding": [1.0]}],
            "usage": {"prompt_tokens": 100, "total_tokens": 100},
        }
        transport = FakeTransport(answers(FakeReply(200, orjson.dumps(vectors))))
        async with runtime_on(transport, prices={"model": PRICE}) as runtime:
            with budget(**bounds) as purse:
                await runtime.client().embed(["x" * 1_000])

        statistics = purse.statistics()
        assert (1, 100) == (statistics.used_calls, statistics.used_tokens)
        assert Decimal("0.0001") == statistics.used_usd

    async def test_thousands_at_once_never_overshoot(self) -> None:
        """A dime is a dime."""
        transport = FakeTransport(
            answers(chat_reply("yes", input_tokens=10, output_tokens=99, delay_s=1.0))
        )
        async with runtime_on(
            transport, prices={"model": PRICE}, call_timeout_s=10_000.0
        ) as runtime:
            client = runtime.client()
            with budget(usd="0.1") as purse:
                outcomes = await effects.map(
                    lambda n: _caught(
                        client.complete(ask(str(n), sampling=Sampling(max_tokens=100)))
                    ),
                    range(1_000),
                    max_concurrency=1_000,
                )

        used = purse.statistics().used_usd
        assert used is not None
        assert Decimal("0.098") < used <= Decimal("0.1")
        assert used == Decimal("0.001") * outcomes.count(None)

    async def test_a_model_without_a_price_is_an_error(self) -> None:
        """It names the model and the setting, and nothing is sent."""
        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport) as runtime:
            with (
                budget(usd=1) as purse,
                pytest.raises(ConfigError, match=r"providers\.fake\.prices"),
            ):
                await runtime.client().complete(ask())

        assert (0, 0) == (len(transport.requests), purse.statistics().reserved_calls)


class TestTime:
    async def test_no_call_starts_when_it_is_up(self) -> None:
        """The budget is what is spent, not the call's own deadline."""
        transport = FakeTransport(answers(chat_reply("yes", delay_s=3.0)))
        async with runtime_on(transport) as runtime:
            client = runtime.client()
            with budget(wall_s=4):
                await client.complete(ask("1"))
                await effects.sleep(1)
                with pytest.raises(BudgetExceeded, match="fake/model: not sent"):
                    await client.complete(ask("2"))

        assert 1 == len(transport.requests)

    async def test_calls_under_way_end_with_it(self) -> None:
        """A budget that waits for a slow provider is none."""
        transport = FakeTransport(answers(chat_reply("yes", delay_s=100.0)))
        async with runtime_on(transport) as runtime:
            began = effects.current().gate
            assert began is effects.LIVE
            with budget(wall_s=4), pytest.raises(DeadlineExceeded, match="4 s"):
                await runtime.client().complete(ask())

    async def test_streams_end_with_it_too(self) -> None:
        """Their deadline is the same."""
        transport = FakeTransport(answers(FakeReply(parts=(100.0,))))
        async with runtime_on(transport) as runtime:
            with budget(wall_s=4), pytest.raises(DeadlineExceeded):
                _ = [event async for event in runtime.client().stream(ask())]


class TestFailing:
    async def test_each_try_is_drawn_for_anew(self) -> None:
        """A budget of two calls pays for one retry and not for two."""
        transport = FakeTransport(answers(error_reply(500)))
        async with runtime_on(transport, max_retries=5) as runtime:
            with budget(calls=2) as purse, pytest.raises(BudgetExceeded):
                await runtime.client().complete(ask())

        assert 2 == len(transport.requests) == purse.statistics().used_calls


async def _caught(call: Any) -> Exception | None:
    try:
        await call
    except (BudgetExceeded, DeadlineExceeded) as exc:
        return exc

    return None
