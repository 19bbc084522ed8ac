"""One evaluation as a scrape shows it, with a bounded number of labels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

import dspex
from dspex.config import TelemetrySettings
from dspex.errors import ConfigError, ProviderError
from dspex.runtime import Runtime
from dspex.telemetry import CACHE_FAULT, LM_RETRY
from dspex.telemetry.prometheus import Metrics, metrics_exporter
from dspex.testing import FakeTransport, chat_reply
from supervision import Bus
from supervision.testing import crash
from tests.support.pipeline import answers, ask, error_reply, runtime_on

ANSWER = "[[ ## answer ## ]]\n4\n\n[[ ## completed ## ]]"


@asynccontextmanager
async def counting(bus: Bus, **options: Any) -> AsyncIterator[Metrics]:
    up: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(metrics_exporter(bus, ready=up.set_result, **options))
    try:
        yield await up
    finally:
        task.cancel()
        await asyncio.wait([task])


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"dspex_{name}", labels)


class TestCounting:
    async def test_one_evaluation(self) -> None:
        """Calls, tokens, programs, examples and the cache's part in it."""
        data = [
            dspex.Example(question=str(n), answer="4").with_inputs("question") for n in range(5)
        ]
        transport = FakeTransport(lambda _: chat_reply(ANSWER))
        async with (
            runtime_on(transport, cache=True) as runtime,
            counting(runtime.bus) as metrics,
        ):
            for _ in range(2):
                await dspex.evaluate(
                    dspex.Predict("question -> answer"), data, dspex.exact_match("answer")
                )

        call = {"endpoint": "fake", "model": "model"}
        assert (5, 5) == (
            value(metrics, "lm_requests_total", **call, outcome="ok"),
            value(metrics, "lm_requests_total", **call, outcome="cached"),
        )
        assert 5 == value(metrics, "lm_request_duration_seconds_count", **call)
        assert (value(metrics, "lm_tokens_total", **call, direction="input") or 0) > 0
        assert 0 == value(metrics, "lm_requests_in_flight", endpoint="fake")
        assert 10 == value(metrics, "program_calls_total", program="Predict", outcome="ok")
        assert 10 == value(metrics, "evaluate_examples_total", status="scored")
        assert (5, 5) == (
            value(metrics, "cache_lookups_total", level="memory"),
            value(metrics, "cache_lookups_total", level="miss"),
        )

    async def test_failures_and_retries_have_their_kind(self) -> None:
        """What an alert is made of."""
        replies = answers(error_reply(503), error_reply(401))
        async with (
            runtime_on(FakeTransport(replies)) as runtime,
            counting(runtime.bus) as metrics,
        ):
            with pytest.raises(ProviderError):
                await runtime.client().complete(ask())

        call = {"endpoint": "fake", "model": "model"}
        assert 1 == value(metrics, "lm_requests_total", **call, outcome="auth")
        assert 1 == value(metrics, "lm_retries_total", **call, kind="server")
        assert 0 == value(metrics, "lm_requests_in_flight", endpoint="fake")

    async def test_a_program_that_raises(self) -> None:
        """And its answers that could not be read."""
        async with (
            runtime_on(FakeTransport(lambda _: chat_reply("no fields"))) as runtime,
            counting(runtime.bus) as metrics,
        ):
            with pytest.raises(dspex.ParseError):
                await dspex.Predict("question -> n: int")(question="q")

        assert 1 == value(metrics, "program_calls_total", program="Predict", outcome="error")
        assert 1 == value(metrics, "program_repairs_total", program="Predict")

    async def test_faults_count_as_many_as_they_are(self) -> None:
        """One event may stand for a minute of them."""
        bus = Bus()
        async with counting(bus) as metrics:
            bus.execute(CACHE_FAULT, {"count": 7}, {"path": "p", "error": "full"})

        assert 7 == value(metrics, "cache_faults_total")

    async def test_labels_are_bounded(self) -> None:
        """A model's name per customer must not fill the memory of two services."""
        bus = Bus()
        async with counting(bus) as metrics:
            for n in range(700):
                bus.execute(LM_RETRY, {}, {"endpoint": "e", "model": f"m{n}", "kind": "server"})

        lines = metrics.text().decode().splitlines()
        retries = [line for line in lines if line.startswith("dspex_lm_retries_total{")]
        assert len(retries) == 501
        assert 200 == value(
            metrics, "lm_retries_total", endpoint="other", model="other", kind="other"
        )

    async def test_the_bus_is_left_as_it_was(self) -> None:
        """Nobody counts for nobody."""
        bus = Bus()
        async with counting(bus):
            assert bus.active

        assert not bus.active


class TestScraping:
    async def test_a_scrape_over_http(self) -> None:
        """In the text format, on a port of the system's choice."""
        runtime = Runtime(
            default="fake/m",
            providers={"fake": dspex.ProviderSettings(base_url="http://fake")},
            session=FakeTransport(lambda _: chat_reply("yes")).session,
            log="off",
            telemetry=TelemetrySettings(metrics_port=0),
        )
        async with runtime, aiohttp.ClientSession() as session:
            await runtime.client().complete(ask())
            url = f"http://127.0.0.1:{runtime.metrics.port}/metrics"
            async with session.get(url) as reply:
                body = await reply.text()
                kind = reply.headers["Content-Type"]

            async with session.get(f"{url}/other") as reply:
                assert 404 == reply.status

        assert kind.startswith("text/plain; version=")
        assert 'dspex_lm_requests_total{endpoint="fake",model="m",outcome="ok"} 1.0' in body
        assert "# HELP dspex_lm_requests_total Model calls" in body

    async def test_the_runtime_has_the_text_without_a_port(self) -> None:
        """For an application that answers scrapes itself."""
        async with Runtime(log="off", telemetry=TelemetrySettings(prometheus=True)) as runtime:
            assert b"dspex_cache_faults_total 0.0" in runtime.metrics.text()
            assert runtime.metrics.port is None

    async def test_switched_off_it_says_how_to_switch_it_on(self) -> None:
        """The setting is named."""
        async with Runtime(log="off") as runtime:
            with pytest.raises(ConfigError, match=r"telemetry\.prometheus"):
                _ = runtime.metrics

    async def test_a_port_that_is_taken_ends_the_start(self) -> None:
        """A service that cannot be watched as asked should not begin."""
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            runtime = Runtime(log="off", telemetry=TelemetrySettings(metrics_port=port))
            with pytest.raises(ConfigError, match=rf"telemetry\.metrics_port = {port}: cannot be"):
                await runtime.__aenter__()

    async def test_a_crash_of_the_exporter_ends_nothing(self) -> None:
        """It begins anew at zero, as counters do."""
        runtime = Runtime(
            default="fake/m",
            providers={"fake": dspex.ProviderSettings(base_url="http://fake")},
            session=FakeTransport(lambda _: chat_reply("yes")).session,
            log="off",
            telemetry=TelemetrySettings(prometheus=True),
        )
        async with runtime:
            await runtime.client().complete(ask("one"))
            crash(runtime.root.ref("services").ref("telemetry").ref("metrics"))
            await asyncio.sleep(0.01)
            await runtime.client().complete(ask("two"))

            assert 1 == value(
                runtime.metrics, "lm_requests_total", endpoint="fake", model="m", outcome="ok"
            )


class TestMissingLibraries:
    @pytest.mark.parametrize(
        ("telemetry", "library", "extra"),
        [
            (TelemetrySettings(prometheus=True), "prometheus_client", r"dspex\[metrics\]"),
            (TelemetrySettings(metrics_port=0), "prometheus_client", r"dspex\[metrics\]"),
            (TelemetrySettings(otel=True), "opentelemetry.sdk", r"dspex\[otel\]"),
        ],
    )
    async def test_the_extra_is_named(
        self,
        monkeypatch: pytest.MonkeyPatch,
        telemetry: TelemetrySettings,
        library: str,
        extra: str,
    ) -> None:
        """Before anything starts."""
        monkeypatch.setattr(
            "dspex.telemetry.listening.find_spec",
            lambda name: None if name == library else object(),
        )

        with pytest.raises(ConfigError, match=extra):
            await Runtime(log="off", telemetry=telemetry).__aenter__()
