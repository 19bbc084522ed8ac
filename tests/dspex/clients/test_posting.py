"""A POST said in advance: what goes over the wire, and what every odd server makes of it."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from dspex.clients.posting import PostTemplate
from dspex.clients.transport import AiohttpTransport
from dspex.config import ProviderSettings
from dspex.effects import scope
from tests.support.sockets import raw_server, read_request

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes"


class Server:
    """Sends given bytes to each request, and remembers what it was sent on which connection."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while self.answers:
            self.requests.append(await read_request(reader))
            writer.write(self.answers.pop(0))

        await reader.read()


@asynccontextmanager
async def open_to(answering: Answering, **settings: object) -> AsyncIterator[AiohttpTransport]:
    async with raw_server(answering) as port:
        provider = ProviderSettings.model_validate(
            {"base_url": f"http://127.0.0.1:{port}/v1", **settings}
        )
        transport = AiohttpTransport(provider, {"Authorization": "Bearer k", "X-Own": "ö"})
        try:
            yield transport
        finally:
            await transport.aclose()


async def post(transport: AiohttpTransport, body: bytes = b"{}") -> tuple[int, bytes, bool]:
    post = transport.post("/ask?x=1", body)
    async with post as reply:
        return reply.status, await reply.read(), post.reused


class TestRequest:
    async def test_what_goes_over_the_wire(self) -> None:
        """One request line, the headers of the session, the length, and the body."""
        server = Server(OK)
        async with open_to(server) as transport:
            assert await post(transport, b'{"a": 1}') == (200, b"yes", False)

        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        line, *headers = head.decode().split("\r\n")
        names = [header.split(":")[0].lower() for header in headers]
        assert line == "POST /v1/ask?x=1 HTTP/1.1"
        assert body == b'{"a": 1}'
        assert sorted(names) == sorted(set(names))
        assert "Content-Type: application/json" in headers
        assert "Content-Length: 8" in headers
        assert "Authorization: Bearer k" in headers
        assert "X-Own: ö" in headers
        assert {"host", "accept", "accept-encoding", "user-agent"} <= set(names)

    async def test_it_is_what_a_session_would_send(self) -> None:
        """The same headers with the same values, as a set."""
        server = Server(OK, OK)
        async with open_to(server) as transport:
            await post(transport)
            async with transport.request("POST", "/ask?x=1", b"{}") as reply:
                await reply.read()

        ours, theirs = (set(r.partition(b"\r\n\r\n")[0].split(b"\r\n")) for r in server.requests)
        assert ours == theirs

    async def test_a_long_body_arrives_whole(self) -> None:
        """However much more than the socket takes at once."""
        received: list[int] = []

        async def take(request: web.Request) -> web.Response:
            received.append(len(await request.read()))
            return web.Response(text="yes")

        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/ask", take)
        async with TestServer(app) as server:
            transport = AiohttpTransport(ProviderSettings(base_url=str(server.make_url("/"))), {})
            for size in (0, 1, 65_535, 65_536, 20_000_000):
                await post(transport, b"x" * size)

            await transport.aclose()

        assert received == [0, 1, 65_535, 65_536, 20_000_000]

    async def test_the_correlation_id_goes_along(self) -> None:
        """Where a header is named for it; one that no header can hold is left out."""
        server = Server(OK, OK, OK)
        async with open_to(server, correlation_header="X-Trace") as transport:
            for correlation_id in ("abc", "ab\r\nX-Evil: 1", None):
                with scope(correlation_id=correlation_id):
                    await post(transport)

        assert b"X-Trace: abc\r\n" in server.requests[0]
        assert not any(b"X-Evil" in r or b"X-Trace" in r for r in server.requests[1:])

    async def test_a_header_with_a_line_break_is_refused(self) -> None:
        """It would begin a header of its own."""
        async with aiohttp.ClientSession() as session:
            with pytest.raises(ValueError, match="'X-A' holds a line break"):
                PostTemplate(session, URL("http://x/"), {"X-A": "1\r\nX-B: 2"})


class TestConnection:
    async def test_a_second_call_uses_it_again(self) -> None:
        """And says so, since the server may have closed it meanwhile."""
        server = Server(OK, OK)
        async with open_to(server) as transport:
            assert [(await post(transport))[2] for _ in range(2)] == [False, True]

        assert server.connections == 1

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes",
            b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nyes",
        ],
        ids=["close", "http/1.0"],
    )
    async def test_one_that_cannot_be_kept_is_closed(self, answer: bytes) -> None:
        """The next call opens another and reads its own answer."""
        server = Server(answer)
        async with open_to(server) as transport:
            assert (await post(transport))[1] == b"yes"
            server.answers.append(OK)
            assert await post(transport) == (200, b"yes", False)

        assert server.connections == 2

    async def test_an_answer_before_the_body_was_sent_closes_it(self) -> None:
        """What was left of the body must not be taken for the next request."""
        done = asyncio.Event()

        async def impatient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
            await done.wait()

        async with open_to(impatient) as transport:
            status, body, _ = await post(transport, b"x" * 50_000_000)
            assert (status, body) == (413, b"no")
            assert (await post(transport))[2] is False
            done.set()


class TestGivingUp:
    async def test_a_server_that_has_stopped_reading_holds_nothing_of_ours(self) -> None:
        """A request that is given up half sent is not sent on; its socket and its body are free."""
        given_up, ended = asyncio.Event(), asyncio.Event()
        received = 0

        async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal received
            await given_up.wait()
            try:
                while block := await reader.read(1 << 20):
                    received += len(block)
            except ConnectionError:
                pass
            finally:
                ended.set()

        async with open_to(deaf) as transport:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await post(transport, b"x" * 50_000_000)

            given_up.set()
            await asyncio.wait_for(ended.wait(), 5.0)

        assert received < 50_000_000


class TestAnswer:
    async def test_interim_answers_are_passed_over(self) -> None:
        """The final one counts."""
        interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        async with open_to(Server(interim + OK)) as transport:
            assert (await post(transport))[:2] == (200, b"yes")

    async def test_chunked_and_compressed(self) -> None:
        """Both are undone."""
        packed = gzip.compress(b"yes, packed")
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in (packed[:7], packed[7:]))
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
        async with open_to(Server(head + chunks + b"0\r\n\r\n")) as transport:
            assert (await post(transport))[1] == b"yes, packed"

    async def test_no_body_at_all(self) -> None:
        """A 204 ends with its head."""
        server = Server(b"HTTP/1.1 204 No Content\r\n\r\n", OK)
        async with open_to(server) as transport:
            assert (await post(transport))[:2] == (204, b"")
            assert (await post(transport))[2] is True

    async def test_something_that_is_no_http(self) -> None:
        """An error that says so, and the connection is gone."""
        async with open_to(Server(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")) as transport:
            with pytest.raises(aiohttp.ClientResponseError):
                await post(transport)

            assert transport.gate.in_use == 0

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (b"", aiohttp.ServerDisconnectedError),
            (b"HTTP/1.1 200 OK\r\nContent-Le", aiohttp.ServerDisconnectedError),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nyes", aiohttp.ClientPayloadError),
        ],
        ids=["nothing", "half a head", "half a body"],
    )
    async def test_a_connection_that_breaks(self, answer: bytes, error: type[Exception]) -> None:
        """Told by how far it came."""

        async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(answer)
            await writer.drain()

        async with open_to(breaking) as transport:
            with pytest.raises(error):
                await post(transport)
