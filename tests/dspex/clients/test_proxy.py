"""Which proxy is used, decided once."""

from __future__ import annotations

import asyncio

import pytest
from yarl import URL

from dspex.clients.proxy import proxy_for
from dspex.config import ProviderSettings
from dspex.messages import Message, Request
from tests.support.sockets import chat_body, http, raw_server, read_request, runtime_at


def settings(url: str = "http://models.test/v1", **more: object) -> ProviderSettings:
    return ProviderSettings.model_validate({"base_url": url, **more})


class TestProxyFor:
    def test_none_unless_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The environment is not trusted by default."""
        monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
        assert proxy_for(settings()) is None

    def test_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """By scheme, unless NO_PROXY has the host; ALL_PROXY for the rest."""
        monkeypatch.setenv("http_proxy", "http://plain.test:1")
        monkeypatch.setenv("all_proxy", "http://all.test:2")
        monkeypatch.setenv("no_proxy", "near.test")

        assert proxy_for(settings(trust_env=True)) == URL("http://plain.test:1")
        assert proxy_for(settings("https://a.test/v1", trust_env=True)) == URL("http://all.test:2")
        assert proxy_for(settings("http://near.test/v1", trust_env=True)) is None

    def test_what_is_set_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A proxy of one's own."""
        monkeypatch.setenv("http_proxy", "http://env.test:1")
        given = settings(trust_env=True, proxy="http://own.test:2")
        assert proxy_for(given) == URL("http://own.test:2")


async def test_requests_go_through_it() -> None:
    """With the whole URL and the password, which nothing shows."""
    heads: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_request(reader))
        writer.write(http(chat_body()))
        await reader.read()

    async with raw_server(proxy) as port:
        given = {"base_url": "http://models.test/v1", "proxy": f"http://me:s3cret@127.0.0.1:{port}"}
        async with runtime_at(port, **given) as runtime:
            response = await runtime.client().complete(Request((Message("user", "hi"),)))
            assert "s3cret" not in repr(runtime.settings)

    assert "yes" == response.text
    assert heads[0].startswith(b"POST http://models.test/v1/chat/completions HTTP/1.1")
    assert b"Proxy-Authorization: Basic bWU6czNjcmV0" in heads[0]
