"""Exceptions of the network, classified; the important ones raised by real sockets."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http_exceptions import BadStatusLine, LineTooLong

from dspex.clients.failures.faults import NETWORK_ERRORS, classify_exception
from dspex.clients.failures.rules import rule_for
from dspex.errors import ErrorData, ErrorKind, RateLimited

KEY = ConnectionKey("api.example", 443, True, True, None, None, None)
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def classify(exc: Exception, stage: str = "first byte") -> ErrorData:
    """Classify what was raised while talking to one provider."""
    return classify_exception(exc, provider="openai", model="gpt", stage=stage)


def os_error(number: int) -> OSError:
    """Build the error of a system call."""
    return OSError(number, errno.errorcode[number])


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Serve raw bytes on loopback."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await handler(reader, writer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/"


async def post(url: str) -> bytes:
    """Post as the client does."""
    async with aiohttp.ClientSession() as session, session.post(url, data=b"{}") as reply:
        return await reply.read()


async def read_head(reader: asyncio.StreamReader) -> None:
    """Read the head of a request."""
    await reader.readuntil(b"\r\n\r\n")


class TestTable:
    @pytest.mark.parametrize(
        ("exc", "kind", "code"),
        [
            (TimeoutError(), ErrorKind.TIMEOUT, "timeout"),
            (aiohttp.SocketTimeoutError("slow"), ErrorKind.TIMEOUT, "timeout"),
            (
                aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(-2, "unknown")),
                ErrorKind.TRANSPORT,
                "dns",
            ),
            (socket.gaierror(-2, "unknown"), ErrorKind.TRANSPORT, "dns"),
            (
                aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError()),
                ErrorKind.TRANSPORT,
                "certificate",
            ),
            (
                aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError()),
                ErrorKind.TRANSPORT,
                "tls",
            ),
            (
                aiohttp.ClientConnectorError(KEY, os_error(errno.ECONNREFUSED)),
                ErrorKind.TRANSPORT,
                "connect",
            ),
            (aiohttp.InvalidURL("http://"), ErrorKind.INVALID_REQUEST, "bad_url"),
            (aiohttp.NonHttpUrlClientError("ftp://x"), ErrorKind.INVALID_REQUEST, "bad_url"),
            (aiohttp.ClientPayloadError("cut"), ErrorKind.PROTOCOL, "truncated"),
            (asyncio.IncompleteReadError(b"", 3), ErrorKind.PROTOCOL, "truncated"),
            (BadStatusLine("what?"), ErrorKind.PROTOCOL, "bad_http"),
            (LineTooLong(b"x", 8), ErrorKind.PROTOCOL, "bad_http"),
            (aiohttp.ServerDisconnectedError(), ErrorKind.TRANSPORT, "disconnected"),
            (aiohttp.ClientOSError(errno.EPIPE, "pipe"), ErrorKind.TRANSPORT, "disconnected"),
            (
                aiohttp.ClientConnectionResetError("reset"),
                ErrorKind.TRANSPORT,
                "disconnected",
            ),
            (ConnectionResetError(), ErrorKind.TRANSPORT, "disconnected"),
            (BrokenPipeError(), ErrorKind.TRANSPORT, "disconnected"),
            (aiohttp.ClientConnectionError("Connector is closed."), ErrorKind.ENDPOINT, "closed"),
            (RuntimeError("Session is closed"), ErrorKind.ENDPOINT, "closed"),
            (aiohttp.ClientError("other"), ErrorKind.TRANSPORT, "network"),
            (os_error(errno.EHOSTUNREACH), ErrorKind.TRANSPORT, "network"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
    )
    def test_each_exception_has_its_kind(self, exc: Exception, kind: ErrorKind, code: str) -> None:
        """The table decides, and the message names what was raised."""
        found = classify(exc)
        assert (found.kind, found.code) == (kind, code)
        assert found.message
        assert (found.provider, found.model) == ("openai", "gpt")

    def test_all_but_closed_sessions_are_network_errors(self) -> None:
        """`except NETWORK_ERRORS` catches what aiohttp raises, also what is no OSError."""
        assert issubclass(aiohttp.ServerDisconnectedError, NETWORK_ERRORS)
        assert not issubclass(aiohttp.ServerDisconnectedError, OSError)
        assert issubclass(TimeoutError, NETWORK_ERRORS)
        assert issubclass(LineTooLong, NETWORK_ERRORS)
        assert not issubclass(RuntimeError, NETWORK_ERRORS)

    def test_bug_is_not_an_outage(self) -> None:
        """What is no network error is raised as it is, so that nobody retries a bug."""
        for bug in (KeyError("x"), RuntimeError("dictionary changed size"), TypeError()):
            with pytest.raises(type(bug)) as caught:
                classify(bug)

            assert caught.value is bug

    def test_provider_error_keeps_its_data(self) -> None:
        """What is classified already stays as it is."""
        data = ErrorData(ErrorKind.RATE_LIMIT, "slow down")
        assert classify(RateLimited(data)) is data


class TestStage:
    def test_timeout_names_its_stage(self) -> None:
        """The message says what took too long."""
        found = classify(TimeoutError(), "first byte")
        assert (found.stage, found.message) == (
            "first byte",
            "timed out in first byte (TimeoutError)",
        )

    def test_connecting_is_known_by_its_type(self) -> None:
        """A connection that could not be made in time is not taken for a slow answer."""
        assert classify(aiohttp.ConnectionTimeoutError("x"), "first byte").stage == "connect"

    @pytest.mark.parametrize(
        ("stage", "stale"), [("send", True), ("first byte", True), ("body", False)]
    )
    def test_stale_socket_only_before_the_first_byte(self, stage: str, stale: bool) -> None:
        """A connection that breaks within an answer was not idle."""
        assert classify(aiohttp.ServerDisconnectedError(), stage).stale_socket is stale

    def test_failed_connection_is_not_stale(self) -> None:
        """A refused connection is a failure from the first time on."""
        refused = classify(aiohttp.ClientConnectorError(KEY, os_error(errno.ECONNREFUSED)))
        assert not refused.stale_socket
        assert rule_for(refused).breaker == "failure"

    def test_bad_certificate_is_not_retried(self) -> None:
        """The next handshake shows the same one."""
        found = classify(
            aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError())
        )
        assert found.should_retry is False


class TestExhaustion:
    @pytest.mark.parametrize("wrapped", [False, True])
    def test_open_file_limit_is_named(self, wrapped: bool) -> None:
        """The message says which limit, its value, and what to do."""
        inner = os_error(errno.EMFILE)
        found = classify(aiohttp.ClientConnectorError(KEY, inner) if wrapped else inner)
        assert (found.kind, found.code) == (ErrorKind.POOL, "EMFILE")
        assert rule_for(found).breaker == "ignore"
        for word in ("open files", "ulimit -n", "max_connections"):
            assert word in found.message

        assert any(character.isdigit() for character in found.message)

    def test_system_limit_is_another(self) -> None:
        """A full system is not taken for a full process."""
        assert "the system has reached" in classify(os_error(errno.ENFILE)).message

    def test_local_ports_can_run_out(self) -> None:
        """No free port is our limit, not the provider's outage."""
        found = classify(os_error(errno.EADDRNOTAVAIL))
        assert found.kind is ErrorKind.POOL
        assert "ip_local_port_range" in found.message


class TestRealSockets:
    async def test_nobody_listens(self) -> None:
        """A refused connection."""
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
            with pytest.raises(NETWORK_ERRORS) as caught:
                await post(url)

        assert classify(caught.value).code == "connect"

    async def test_server_hangs_up_before_answering(self) -> None:
        """The look of a stale connection."""

        async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await read_head(reader)

        async with serving(hang_up) as url:
            with pytest.raises(NETWORK_ERRORS) as caught:
                await post(url)

        found = classify(caught.value)
        assert (found.code, found.stale_socket) == ("disconnected", True)

    async def test_server_cuts_the_body(self) -> None:
        """Half an answer is a broken wire, not a stale connection."""

        async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            await writer.drain()

        async with serving(cut) as url:
            with pytest.raises(NETWORK_ERRORS) as caught:
                await post(url)

        assert classify(caught.value, "body").code == "truncated"

    async def test_server_does_not_speak_http(self) -> None:
        """Something else listens on that port."""

        async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            await writer.drain()

        async with serving(babble) as url:
            with pytest.raises(NETWORK_ERRORS) as caught:
                await post(url)

        assert classify(caught.value).kind is ErrorKind.PROTOCOL

    async def test_session_was_closed(self) -> None:
        """A call that borrowed a pool which is gone meets the next one by a retry."""
        session = aiohttp.ClientSession()
        await session.close()
        with pytest.raises(RuntimeError) as caught:
            await session.post("http://127.0.0.1:1/")

        found = classify(caught.value)
        assert found.kind is ErrorKind.ENDPOINT
        assert rule_for(found).retry == "backoff"
