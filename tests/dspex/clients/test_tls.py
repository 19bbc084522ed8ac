"""TLS as the settings have it: whom we trust, and whom we are."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from dspex.clients.tls import shrink_tls_buffers, tls_context
from dspex.config import TlsSettings
from dspex.errors import ConfigError, TransportError
from dspex.messages import Message, Request
from tests.support.certificates import Authority
from tests.support.sockets import chat_body, runtime_at


@asynccontextmanager
async def serving(authority: Authority, *, ask_client: bool = False) -> AsyncIterator[int]:
    """Serve chat completions over TLS as "models.test"; give the port."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=chat_body(), content_type="application/json")

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.ca_file)
    context.load_cert_chain(*authority.issue("models.test"))
    if ask_client:
        context.verify_mode = ssl.CERT_REQUIRED

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    try:
        assert server.port is not None
        yield server.port
    finally:
        await server.close()


async def ask(port: int, tls: TlsSettings) -> str:
    url = f"https://127.0.0.1:{port}/v1"
    async with runtime_at(port, base_url=url, tls=tls, max_retries=0) as runtime:
        response = await runtime.client().complete(Request((Message("user", "hi"),)))
        await asyncio.sleep(0)

    return response.text


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


class TestTrust:
    async def test_an_authority_of_ones_own(self, authority: Authority) -> None:
        """A private one is trusted when its file is named, for the name that is expected."""
        async with serving(authority) as port:
            tls = TlsSettings(ca_file=authority.ca_file, server_name="models.test")
            assert "yes" == await ask(port, tls)

    @pytest.mark.parametrize("named", [True, False], ids=["unknown authority", "other name"])
    async def test_a_stranger_is_refused(self, authority: Authority, named: bool) -> None:
        """For good: the next handshake shows the same certificate."""
        tls = (
            TlsSettings(server_name="models.test")
            if named
            else TlsSettings(ca_file=authority.ca_file)
        )
        async with serving(authority) as port:
            with pytest.raises(TransportError) as caught:
                await ask(port, tls)

        assert ("certificate", False) == (caught.value.data.code, caught.value.data.should_retry)

    async def test_trust_can_be_switched_off(self, authority: Authority) -> None:
        """For a test bench."""
        async with serving(authority) as port:
            assert "yes" == await ask(port, TlsSettings(verify=False))

    async def test_our_own_certificate_is_shown(self, authority: Authority) -> None:
        """A server that wants to know us gets it."""
        cert_file, key_file = authority.issue("dspex.test")
        known: dict[str, Any] = {"ca_file": authority.ca_file, "server_name": "models.test"}
        async with serving(authority, ask_client=True) as port:
            shown = TlsSettings(cert_file=cert_file, key_file=key_file, **known)
            assert "yes" == await ask(port, shown)
            with pytest.raises(TransportError):
                await ask(port, TlsSettings(**known))


class TestContext:
    def test_defaults_need_none(self) -> None:
        """The library's own is shared and made once."""
        assert tls_context(TlsSettings()) is True

    @pytest.mark.parametrize("field", ["ca_file", "cert_file"])
    def test_a_file_that_cannot_be_used_is_named(self, tmp_path: Path, field: str) -> None:
        """Missing or no PEM, the setting and the path are in the error."""
        broken = tmp_path / "broken.pem"
        broken.write_text("no certificate")
        for path in (tmp_path / "missing.pem", broken):
            with pytest.raises(ConfigError, match=rf"tls\.{field} = .*{path.name}"):
                tls_context(TlsSettings.model_validate({field: path}))


class TestBuffers:
    def test_are_made_smaller_and_never_larger(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The private place this relies on is still there."""
        protocol = asyncio.sslproto.SSLProtocol
        monkeypatch.setattr(protocol, "max_size", 256 * 1024)

        assert shrink_tls_buffers(64 * 1024)
        assert not shrink_tls_buffers(64 * 1024)
        assert 64 * 1024 == protocol.max_size

    async def test_a_small_buffer_carries_large_answers(
        self, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A connection with the smaller buffer works: a record of TLS is smaller still."""
        monkeypatch.setattr(asyncio.sslproto.SSLProtocol, "max_size", 64 * 1024)
        async with serving(authority) as port:
            tls = TlsSettings(ca_file=authority.ca_file, server_name="models.test")
            assert "yes" == await ask(port, tls)
