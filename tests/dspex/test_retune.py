"""A runtime takes on other limits while it runs, whole or not at all."""

from __future__ import annotations

import asyncio

import pytest

from dspex.errors import ConfigError
from dspex.messages import Message, Request
from dspex.testing import FakeTransport, chat_reply
from supervision.testing import crash, wait_restarted
from tests.support.pipeline import ask, runtime_on


class TestRetune:
    @pytest.mark.virtual_time
    async def test_calls_that_wait_are_held_to_the_new_rate(self) -> None:
        """Sixty seconds for the second call, until somebody raises the rate."""
        transport = FakeTransport(lambda _: chat_reply("yes"))
        async with runtime_on(transport, requests_per_minute=1) as runtime:
            client, clock = runtime.client(), asyncio.get_running_loop().time
            began = clock()
            await client.complete(ask("first"))
            second = asyncio.create_task(client.complete(ask("second")))
            await asyncio.sleep(1.0)

            runtime.retune("fake", requests_per_minute=60)
            await second

            assert clock() - began < 5
            assert 60 == runtime.settings.providers["fake"].requests_per_minute

    async def test_prices_hold_from_then_on(self) -> None:
        """A call that is answered after the change costs what it says."""
        async with runtime_on(FakeTransport(lambda _: chat_reply("yes"))) as runtime:
            unknown = await runtime.client().complete(ask("first"))
            runtime.retune(
                "fake", input_usd_per_million_tokens=1.0, output_usd_per_million_tokens=2.0
            )
            known = await runtime.client().complete(ask("second"))

        assert unknown.usage.cost_usd is None
        assert (known.usage.cost_usd or 0) > 0

    async def test_a_limiter_that_restarts_keeps_the_new_rate(self) -> None:
        """The settings of the start are history."""
        transport = FakeTransport(lambda _: chat_reply("yes"))
        async with runtime_on(transport, requests_per_minute=6_000_000) as runtime:
            endpoint = runtime.client().endpoint
            await runtime.client().complete(ask("first"))
            old = await endpoint.state()
            runtime.retune("fake", breaker={"min_calls": 7})

            limits = runtime.root.ref("services").ref("clients").ref("fake").ref("limits")
            before = limits.pid
            crash(limits)
            await wait_restarted(limits, before)
            await runtime.client().complete(ask("second"))
            new = await endpoint.state()

        assert new is not old
        assert 7 == new._settings.breaker.min_calls

    async def test_an_endpoint_that_was_not_used_yet_begins_with_the_new_settings(self) -> None:
        """There is nothing to tell it."""
        async with runtime_on(FakeTransport(lambda _: chat_reply("yes"))) as runtime:
            runtime.retune("fake", max_retries=0)

            assert 0 == runtime.client().endpoint.settings.max_retries

    async def test_a_refusal_changes_nothing(self) -> None:
        """Not even what else was asked for."""
        async with runtime_on(FakeTransport(lambda _: chat_reply("yes"))) as runtime:
            before = runtime.settings
            with pytest.raises(ConfigError, match="cannot change"):
                runtime.retune("fake", max_retries=1, base_url="http://other")

            assert runtime.settings is before

    async def test_more_connections_than_files_change_nothing(self) -> None:
        """The endpoint refuses before it begins."""
        async with runtime_on(FakeTransport(lambda _: chat_reply("yes"))) as runtime:
            await runtime.client().complete(ask())
            before = runtime.settings
            with pytest.raises(ConfigError, match="max_connections"):
                runtime.retune("fake", max_connections=10**9)

            assert runtime.settings is before

    async def test_the_cache_takes_on_its_bounds_and_keeps_them_after_a_crash(self) -> None:
        """Its child asks for the settings when it starts."""
        transport = FakeTransport(lambda _: chat_reply("x" * 10_000))
        async with runtime_on(transport, cache=True) as runtime:
            runtime.retune_cache(max_bytes=5_000)
            await runtime.client().complete(ask())
            assert runtime.cache is not None
            assert 0 == runtime.cache.statistics().entries

            crash(runtime.root.ref("services").ref("cache"))
            await asyncio.sleep(0.01)
            await runtime.client().complete(Request((Message("user", "again"),)))
            assert runtime.cache is not None
            assert 0 == runtime.cache.statistics().entries
