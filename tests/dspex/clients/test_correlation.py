"""A gateway in between sees which request of ours a call belongs to, if it is to."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

import dspex
from dspex.errors import ConfigError
from dspex.runtime import Runtime
from dspex.testing import chat_reply
from tests.support.pipeline import ask


class Gateway:
    """Answers each call, and keeps the header."""

    def __init__(self) -> None:
        self.seen: list[str | None] = []
        self.app = web.Application()
        self.app.router.add_post("/chat/completions", self.answer)

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append(request.headers.get("X-Correlation-Id"))
        return web.Response(body=chat_reply("yes").body, content_type="application/json")


async def calls(gateway: Gateway, *names: str | None, header: str | None) -> None:
    """Make a call under each name, all at once."""
    async with TestServer(gateway.app) as server:
        provider = dspex.ProviderSettings(
            base_url=str(server.make_url("/")), correlation_header=header
        )
        async with Runtime(
            default="p/m", providers={"p": provider}, cache=None, log="off"
        ) as runtime:

            async def call(name: str | None) -> None:
                with dspex.scope(correlation_id=name):
                    await runtime.client().complete(ask())

            async with asyncio.TaskGroup() as group:
                for name in names:
                    group.create_task(call(name))


class TestHeader:
    async def test_each_call_sends_its_own_id(self) -> None:
        """Whatever else is in flight."""
        gateway = Gateway()

        await calls(gateway, "one", "two", "three", header="x-correlation-id")

        assert ["one", "three", "two"] == sorted(map(str, gateway.seen))

    async def test_without_the_setting_nothing_is_sent(self) -> None:
        """It is nobody's business by default."""
        gateway = Gateway()

        await calls(gateway, "one", header=None)

        assert [None] == gateway.seen

    @pytest.mark.parametrize("name", [None, "", "a\r\nInjected: b", "\N{SNOWMAN}"])
    async def test_an_id_that_no_header_can_hold_is_left_out(self, name: str | None) -> None:
        """The call goes on; and nobody smuggles in a header of his own."""
        gateway = Gateway()

        await calls(gateway, name, header="x-correlation-id")

        assert [None] == gateway.seen

    def test_a_name_that_is_none_is_refused(self) -> None:
        """When the settings are made."""
        with pytest.raises(ConfigError, match=r"correlation_header = 'a b': .*no name of a header"):
            dspex.Settings.from_code(providers={"p": {"correlation_header": "a b"}})
