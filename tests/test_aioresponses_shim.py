"""What the shim for aioresponses makes possible, and whether it is still needed."""

from __future__ import annotations

import aiohttp
import pytest
from aioresponses import aioresponses, compat, core

URL = "http://127.0.0.1:9/v1"


async def fetch() -> tuple[int, bytes]:
    """Send one request and read the whole answer."""
    async with aiohttp.ClientSession() as session, session.post(URL, json={}) as response:
        return response.status, await response.read()


async def test_stubbed_response_arrives() -> None:
    """Status and body of a stubbed response reach the caller."""
    with aioresponses() as stub:
        stub.post(URL, status=429, body=b"slow down")
        assert await fetch() == (429, b"slow down")


async def test_large_body_arrives() -> None:
    """A body of many times the usual buffer arrives whole."""
    with aioresponses() as stub:
        stub.post(URL, body=b"x" * 1_000_000)
        assert await fetch() == (200, b"x" * 1_000_000)


async def test_body_can_be_streamed() -> None:
    """Lines of a stubbed event stream can be read one by one."""
    with aioresponses() as stub:
        stub.post(URL, body=b"data: 1\n\ndata: 2\n\n")
        async with aiohttp.ClientSession() as session, session.post(URL) as response:
            assert [line async for line in response.content if line.strip()] == [
                b"data: 1\n",
                b"data: 2\n",
            ]


async def test_writer_is_still_missing_upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the shim no response can be built; when this fails, drop WriterlessResponse."""
    monkeypatch.setattr(core, "ClientResponse", aiohttp.ClientResponse)
    with aioresponses() as stub:
        stub.post(URL)
        with pytest.raises(TypeError, match="stream_writer"):
            await fetch()


async def test_large_body_still_fails_upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the shim a large body trips an assertion; when this fails, drop roomy_reader."""
    monkeypatch.setattr(core, "stream_reader_factory", compat.stream_reader_factory)
    with aioresponses() as stub:
        stub.post(URL, body=b"x" * 1_000_000)
        with pytest.raises(AssertionError):
            await fetch()
