"""The Runtime starts and stops the tree, is found, and survives the death of any service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from dspex import effects
from dspex.clients.open_files import connection_limit
from dspex.config import ProviderSettings
from dspex.errors import ConfigError, EndpointUnavailable, RuntimeNotFound
from dspex.messages import Message, Request
from dspex.runtime import Runtime
from dspex.sandbox import Latency, Script, create_app
from dspex.testing import FakeReply, FakeTransport, chat_reply
from supervision import Ref
from supervision.testing import crash, wait_restarted


def ask(text: str = "hi") -> Request:
    return Request((Message("user", text),))


def fake(answer: Callable[[dict[str, Any]], FakeReply | Exception] | None = None) -> Runtime:
    transport = FakeTransport(answer or (lambda _: chat_reply("yes")))
    return Runtime(
        default="fake/m",
        providers={"fake": ProviderSettings(base_url="http://fake")},
        session=transport.session,
        log="off",
    )


@asynccontextmanager
async def sandbox_runtime(latency_s: float) -> AsyncIterator[Runtime]:
    """Open a runtime on a sandbox server in this loop, over real sockets."""
    script = Script(latency=Latency(median_s=latency_s), answer="yes")
    async with TestServer(create_app(script=script)) as server:
        settings = ProviderSettings(base_url=str(server.make_url("/v1")))
        async with Runtime(
            default="sandbox/sandbox/nearest-demo", providers={"sandbox": settings}, log="off"
        ) as runtime:
            yield runtime


def service(runtime: Runtime, *path: str) -> Ref[Any]:
    """Return a ref to a service of the tree, by its place."""
    ref = runtime.root.ref("services")
    for name in path:
        ref = ref.ref(name)

    return ref


class TestClient:
    async def test_names_are_provider_slash_model(self) -> None:
        """The model's own name may hold slashes."""
        async with fake() as runtime:
            client = runtime.client("fake/org/model")

        assert ("fake/org/model", "org/model") == (client.name, client.model)

    async def test_the_same_name_gives_an_equal_client(self) -> None:
        """A client is a value."""
        async with fake() as runtime:
            assert runtime.client("fake/m") == runtime.client()
            assert runtime.client("fake/n") != runtime.client()

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("m", 'named "provider/model"'),
            ("/m", 'named "provider/model"'),
            ("fake/", 'named "provider/model"'),
            ("other/m", r"'other'.*there is: fake"),
        ],
    )
    async def test_a_wrong_name_is_refused_with_what_there_is(
        self, name: str, message: str
    ) -> None:
        """The error shows the name and the way out."""
        async with fake() as runtime:
            with pytest.raises(ConfigError, match=message):
                runtime.client(name)

    async def test_without_a_default_the_error_says_how_to_set_one(self) -> None:
        """All three ways are named."""
        async with Runtime(log="off") as runtime:
            with pytest.raises(ConfigError, match="DSPEX_DEFAULT"):
                runtime.client()

    def test_a_bad_default_is_refused_before_anything_starts(self) -> None:
        """A typo shows at once and not with the first call."""
        with pytest.raises(ConfigError, match="provider/model"):
            Runtime(default="just-a-model")

    async def test_a_provider_without_a_url_is_refused(self) -> None:
        """Only well-known providers have one by themselves."""
        async with Runtime(providers={"acme": ProviderSettings()}, log="off") as runtime:
            with pytest.raises(ConfigError, match=r"providers\.acme\.base_url"):
                runtime.client("acme/m")

    async def test_outside_its_block_a_runtime_serves_nobody(self) -> None:
        """Before and after it is closed, and says so."""
        runtime = fake()
        with pytest.raises(RuntimeNotFound, match="not open"):
            runtime.client()

        async with runtime:
            runtime.client()

        with pytest.raises(RuntimeNotFound, match="not open"):
            runtime.client()

    async def test_a_runtime_opens_once_at_a_time(self) -> None:
        """Nesting the same runtime in itself is a mistake."""
        async with fake() as runtime:
            with pytest.raises(RuntimeError, match="open already"):
                async with runtime:
                    pass

    async def test_a_runtime_can_be_opened_again(self) -> None:
        """Each opening starts a new tree."""
        runtime = fake()
        for _ in range(2):
            async with runtime:
                assert "yes" == (await runtime.client().complete(ask())).text


class TestFinding:
    async def test_two_open_runtimes_are_told_apart_by_use(self) -> None:
        """`use` chooses for a block; outside it both are named."""
        transport = FakeTransport(lambda _: chat_reply("yes"))
        one = Runtime(name="one", session=transport.session, log="off")
        two = Runtime(name="two", session=transport.session, log="off")
        async with one, two:
            with pytest.raises(RuntimeNotFound, match="'one', 'two'"):
                effects.find_runtime()

            with two.use():
                assert effects.find_runtime() is two

        with pytest.raises(RuntimeNotFound):
            effects.find_runtime()


class TestTree:
    async def test_the_tree_has_every_service_in_its_place(self) -> None:
        """Endpoints appear with their first call and not before."""
        transport = FakeTransport(lambda _: chat_reply("yes"))
        runtime = Runtime(
            default="fake/m",
            providers={"fake": ProviderSettings(base_url="http://fake")},
            session=transport.session,
        )
        async with runtime:
            before = runtime.root.tree()
            await runtime.client().complete(ask())
            after = runtime.root.tree()

        for name in ("services", "telemetry", "cache", "clients", "work", "tasks"):
            assert name in before

        assert "limits" not in before
        assert after.index("limits") < after.index("session")

    async def test_many_first_calls_start_one_endpoint(self) -> None:
        """A thousand callers who come at once do not start a thousand sessions."""
        transport = FakeTransport(lambda _: chat_reply("yes"))
        runtime = Runtime(
            default="fake/m",
            providers={"fake": ProviderSettings(base_url="http://fake")},
            session=transport.session,
            log="off",
        )
        async with runtime:
            client = runtime.client()
            await effects.map(
                lambda n: client.complete(ask(str(n))), range(1_000), max_concurrency=1_000
            )

        assert 1 == transport.sessions

    async def test_an_endpoint_that_cannot_start_says_why(self) -> None:
        """More connections than files is a setting to mend, not a retry."""
        settings = ProviderSettings(base_url="http://127.0.0.1:9", max_connections=10**9)
        async with Runtime(
            default="p/m", providers={"p": settings}, cache=None, log="off"
        ) as runtime:
            with pytest.raises(ConfigError, match=r"max_connections = 1000000000: .*RLIMIT_NOFILE"):
                await runtime.client().complete(ask())

    def test_the_default_number_of_connections_leaves_room(self) -> None:
        """Files are needed for more than connections."""
        assert connection_limit(None) >= 16
        assert connection_limit(3) == 3


class TestCrashes:
    async def test_calls_in_flight_survive_the_death_of_the_session(self) -> None:
        """The connections are cut under two hundred calls; each of them gets its answer."""
        async with sandbox_runtime(latency_s=0.2) as runtime:
            client = runtime.client()
            await client.complete(ask("first"))
            calls = asyncio.create_task(
                effects.map(lambda n: client.complete(ask(str(n))), range(200), max_concurrency=200)
            )
            await asyncio.sleep(0.1)
            assert client.endpoint.in_flight == 200

            crash(service(runtime, "clients", "sandbox", "session"))
            responses = await calls

        assert {"yes"} == {response.text for response in responses}
        assert 200 == sum(bool(response.attempts) for response in responses)

    async def test_limits_and_breakers_outlive_the_session(self) -> None:
        """A crash of the connections does not forget that the provider is down."""
        async with sandbox_runtime(latency_s=0.0) as runtime:
            client = runtime.client()
            await client.complete(ask())
            state = await client.endpoint.state()

            crash(service(runtime, "clients", "sandbox", "session"))
            await client.complete(ask("again"))

            assert await client.endpoint.state() is state

    async def test_a_new_limiter_brings_a_new_session(self) -> None:
        """What started after the limits is restarted with them."""
        async with sandbox_runtime(latency_s=0.0) as runtime:
            client = runtime.client()
            await client.complete(ask())
            transport = await client.endpoint.transport()

            session = service(runtime, "clients", "sandbox", "session")
            before = session.pid
            crash(service(runtime, "clients", "sandbox", "limits"))
            await wait_restarted(session, before)
            await client.complete(ask("again"))

            assert await client.endpoint.transport() is not transport

    async def test_an_endpoint_that_keeps_crashing_comes_back_with_the_next_call(self) -> None:
        """Its supervisor gives up, the one above starts it anew."""
        async with sandbox_runtime(latency_s=0.0) as runtime:
            client = runtime.client()
            for n in range(6):
                await client.complete(ask(str(n)))
                crash(service(runtime, "clients", "sandbox", "session"))

            assert "yes" == (await client.complete(ask("after"))).text

    @pytest.mark.parametrize("name", ["cache", "telemetry", "clients"])
    async def test_calls_go_on_without_a_service(self, name: str) -> None:
        """The cache, the log or all endpoints may die: calls are answered."""
        transport = FakeTransport(lambda _: chat_reply("yes", delay_s=0.01))
        runtime = Runtime(
            default="fake/m",
            providers={"fake": ProviderSettings(base_url="http://fake")},
            session=transport.session,
        )
        async with runtime:
            client = runtime.client()
            await client.complete(ask("first"))
            calls = asyncio.create_task(
                effects.map(lambda n: client.complete(ask(str(n))), range(100))
            )
            await asyncio.sleep(0.005)
            crash(service(runtime, name))

            assert {"yes"} == {response.text for response in await calls}
            assert "yes" == (await client.complete(ask("after"))).text

    async def test_who_learns_late_of_a_replaced_tree_does_not_start_it_twice(self) -> None:
        """Two limiters for one endpoint would let twice its rate through."""
        async with fake() as runtime:
            client = runtime.client()
            await client.complete(ask("first"))
            endpoint = client.endpoint
            old = endpoint._state_ref
            assert old is not None
            crash(service(runtime, "clients"))
            await asyncio.sleep(0.01)
            await client.complete(ask("second"))
            with pytest.raises(EndpointUnavailable):
                await endpoint._await_restart(old)

            await client.complete(ask("third"))

            assert 1 == runtime.root.tree().count("session")

    async def test_closing_ends_calls_in_flight_at_once(self) -> None:
        """Whoever still waits when the runtime closes is told so, well before its deadline."""
        runtime = fake(lambda _: chat_reply("late", delay_s=30.0))
        async with runtime:
            client = runtime.client()
            call = asyncio.create_task(client.complete(ask()))
            await asyncio.sleep(0.01)

        with pytest.raises(EndpointUnavailable, match="is not open"):
            await asyncio.wait_for(call, 10.0)

        assert client.endpoint.in_flight == 0
