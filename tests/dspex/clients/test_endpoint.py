"""The handle of an endpoint: found by what it can do, retuned, opened and closed, counted."""

from __future__ import annotations

import asyncio
import io
import logging
from decimal import Decimal

import pytest

from dspex import effects
from dspex.clients.client import Client
from dspex.config import BreakerSettings, ProviderSettings
from dspex.errors import CircuitOpen, ConfigError, InvalidRequest, ProviderError, ServerError
from dspex.runtime import Runtime
from dspex.telemetry.events import EVENTS
from dspex.testing import FakeReply, FakeTransport, chat_reply
from supervision.testing import crash, wait_restarted
from tests.support.pipeline import answers, ask, error_reply, runtime_on

pytestmark = pytest.mark.virtual_time


class TestRegistry:
    async def test_endpoints_are_found_by_what_they_can_do(self) -> None:
        """Once they run, which begins with the first call."""
        transport = FakeTransport(answers(chat_reply("yes")))
        providers = {
            name: ProviderSettings(base_url="http://fake/v1", compat_overrides=abilities)
            for name, abilities in {"seeing": {}, "blind": {"images": "none"}}.items()
        }
        async with Runtime(providers=providers, session=transport.session, log="off") as runtime:
            clients = [runtime.client(f"{name}/m") for name in ("seeing", "blind")]
            assert [] == runtime.endpoints()
            for client in clients:
                await client.complete(ask(client.name))

            assert ["blind", "seeing"] == [end.name for end in runtime.endpoints()]
            assert ["seeing"] == [end.name for end in runtime.endpoints(capability="vision")]
            assert [] == runtime.endpoints(capability="telepathy")

    async def test_one_that_is_gone_is_not_found(self) -> None:
        """Its entry goes with its owner, and comes back with the owner's successor."""
        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport) as runtime:
            await runtime.client().complete(ask())
            endpoint = runtime.root.ref("services").ref("clients").ref("fake")
            limits = endpoint.ref("limits")
            await wait_restarted(limits, crash(limits))
            assert 1 == len(runtime.endpoints())

        assert [] == runtime.endpoints()


class TestRetune:
    async def test_those_who_wait_feel_it(self) -> None:
        """A higher rate lets them go, a lower one holds them."""
        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport, requests_per_minute=1.0) as runtime:
            client = runtime.client()
            await client.complete(ask("first"))
            waiting = asyncio.create_task(client.complete(ask("second")))
            await asyncio.sleep(1.0)
            runtime.retune("fake", requests_per_minute=600.0)
            await waiting
            took_s = asyncio.get_running_loop().time()
            quota = client.endpoint.statistics().quota

        assert took_s < 2.0
        assert quota is not None
        assert 600.0 == pytest.approx(quota.requests_per_min)

    async def test_connections_tokens_users_retries_breaker_and_prices(self) -> None:
        """Everything that is no part of the connection."""
        transport = FakeTransport(answers(error_reply(500), chat_reply("yes", input_tokens=10)))
        async with runtime_on(transport) as runtime:
            client = runtime.client()
            runtime.retune("fake", max_retries=0)
            with pytest.raises(ServerError):
                await client.complete(ask())

            runtime.retune(
                "fake",
                max_connections=7,
                input_tokens_per_minute=6_000.0,
                per_user_requests_per_minute=60.0,
                breaker={"consecutive_failures": 1},
                input_usd_per_million_tokens=1.0,
                output_usd_per_million_tokens=0.0,
            )
            response = await client.complete(ask())
            statistics = client.endpoint.statistics()

        assert Decimal("0.00001") == response.usage.cost_usd
        assert statistics.connections is not None
        assert statistics.quota is not None
        assert 7 == statistics.connections.limit
        assert 6_000.0 == pytest.approx(statistics.quota.input_tokens_per_min)

    async def test_it_outlives_a_crash_of_what_was_retuned(self) -> None:
        """A child that starts again reads the settings of now."""
        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport) as runtime:
            client = runtime.client()
            await client.complete(ask())
            runtime.retune("fake", requests_per_minute=600.0)
            limits = runtime.root.ref("services").ref("clients").ref("fake").ref("limits")
            await wait_restarted(limits, crash(limits))
            quota = (await client.endpoint.state()).quota.statistics()

        assert 600.0 == pytest.approx(quota.requests_per_min)

    async def test_more_than_the_process_may_open_changes_nothing(self) -> None:
        """The settings stay what they were."""
        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport) as runtime:
            client = runtime.client()
            with pytest.raises(ConfigError, match="max_connections"):
                runtime.retune("fake", max_connections=100_000_000)

            assert client.endpoint.settings.max_connections is None
            assert runtime.settings.providers["fake"].max_connections is None


class TestBreakerByHand:
    async def test_opened_for_a_time_or_until_closed(self) -> None:
        """For maintenance that is known beforehand."""
        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport, max_retries=0) as runtime:
            client = runtime.client()
            await client.endpoint.open_breaker("model", 60.0)
            with pytest.raises(CircuitOpen, match="by hand") as caught:
                await client.complete(ask())

            assert 60.0 == pytest.approx(caught.value.data.retry_after_s)
            await asyncio.sleep(61.0)
            await client.complete(ask())

            await client.endpoint.open_breaker("model")
            await asyncio.sleep(1e6)
            with pytest.raises(CircuitOpen) as caught:
                await client.complete(ask())

            assert caught.value.data.retry_after_s is None
            await client.endpoint.close_breaker("model")
            assert "yes" == (await client.complete(ask())).text

    async def test_ten_thousand_calls_make_one_probe(self) -> None:
        """At the end of an outage one of them finds out, whoever it is."""
        transport = FakeTransport(answers(chat_reply("yes", delay_s=1.0)))
        async with runtime_on(transport, max_retries=0) as runtime:
            client = runtime.client()
            await client.endpoint.open_breaker("model", 30.0)
            await asyncio.sleep(31.0)

            async def outcome(n: int) -> bool:
                try:
                    await client.complete(ask(str(n)))
                except CircuitOpen:
                    return False

                return True

            made = await effects.map(outcome, range(10_000), max_concurrency=10_000)

        assert (1, 1) == (sum(made), len(transport.requests))

    async def test_a_proxys_page_does_not_close_an_endpoint(self) -> None:
        """One page that is not the provider's is tried again; many of them are an outage."""
        page = FakeReply(403, b"<html><title>Access denied</title></html>")
        transport = FakeTransport(answers(page, chat_reply("yes")))
        async with runtime_on(transport) as runtime:
            assert "yes" == (await runtime.client().complete(ask())).text

        transport = FakeTransport(answers(page))
        numbers = BreakerSettings(consecutive_failures=5)
        async with runtime_on(transport, breaker=numbers, max_retries=0) as runtime:
            for _ in range(10):
                with pytest.raises(ProviderError):
                    await runtime.client().complete(ask())

        assert 5 == len(transport.requests)


class TestStatistics:
    async def test_latency_tokens_and_errors(self) -> None:
        """What the provider did; the cache's answers are none of it."""
        transport = FakeTransport(
            answers(
                error_reply(400),
                chat_reply("yes", delay_s=2.0, input_tokens=30, output_tokens=7),
            )
        )
        async with runtime_on(transport, cache=True) as runtime:
            client = runtime.client()
            with pytest.raises(InvalidRequest):
                await client.complete(ask("bad"))

            for _ in range(3):
                await client.complete(ask("good"))

            found = client.endpoint.statistics()

        assert (1, {"invalid_request": 1}) == (found.latency.count, found.errors)
        assert found.latency.p50_s == pytest.approx(2.0, rel=0.05)
        assert (30, 7) == (found.input_tokens, found.output_tokens)
        assert (4, 3, 1) == (found.calls, found.succeeded, found.failed)


class TestUsers:
    async def test_the_scopes_user_is_limited(self) -> None:
        """Each by himself; a call on nobody's behalf is not."""
        transport = FakeTransport(answers(chat_reply("yes")))
        async with runtime_on(transport, per_user_requests_per_minute=60.0) as runtime:
            client = runtime.client()
            loop = asyncio.get_running_loop()
            for _ in range(3):
                await client.complete(ask())

            assert loop.time() < 0.1
            with effects.scope(user="a"):
                for _ in range(3):
                    await client.complete(ask())

            assert loop.time() == pytest.approx(2.0, abs=0.1)
            with effects.scope(user="b"):
                await client.complete(ask())

            assert loop.time() == pytest.approx(2.0, abs=0.1)


async def failures(client: Client) -> list[str]:
    found: list[str] = []
    for n in range(4):
        with pytest.raises(ProviderError) as caught:
            await client.complete(ask(str(n)))

        error: BaseException | None = caught.value
        while error is not None:
            found += [str(error), repr(error), repr(getattr(error, "data", ""))]
            error = error.__cause__

    return found


async def test_secrets_are_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """Not in anything that is printed, logged or raised, not even where a server repeats them."""
    caplog.set_level(logging.DEBUG)
    key, token, password = "sk-s3cretkey0123456789", "s3crettoken", "s3cretpassword"
    echo = b'{"error": {"message": "Incorrect API key provided: ' + key.encode() + b'"}}'
    events = io.StringIO()
    transport = FakeTransport(
        answers(FakeReply(401, echo), FakeReply(500, echo), OSError(111, "refused"))
    )
    async with runtime_on(
        transport,
        api_key=key,
        headers={"X-Token": token},
        proxy=f"http://me:{password}@proxy.test:1",
        max_retries=1,
        breaker=BreakerSettings(consecutive_failures=3),
    ) as runtime:
        client = runtime.client()
        runtime.bus.attach_many("all", EVENTS, lambda *what: print(what, file=events))
        seen = await failures(client)
        endpoint = client.endpoint
        state = await endpoint.state()
        things = [runtime, client, endpoint, endpoint.settings, endpoint.spec(), state]
        things += [endpoint.statistics(), runtime.statistics(), runtime.settings]
        seen += [text for thing in things for text in (repr(thing), str(thing))]
        seen += [str(runtime.root.tree()), caplog.text, events.getvalue()]

    assert f"Bearer {key}" == transport.headers["Authorization"]
    assert [] == [text for text in seen for secret in (key, token, password) if secret in text]
