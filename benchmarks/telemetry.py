"""T: what listeners cost a call: none, the log, Prometheus' counters, OpenTelemetry's spans.

One `client.complete` against a provider in process that answers at once, 64 in flight, so that the
figure is the listener's and not the network's. Spans are made and measured, and thrown away by
their processor: what an exporter does with them is the exporter's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from benchmarks.figures import Figure
from benchmarks.measuring import Cost, drive, interleave, measure, span_of
from benchmarks.settings import Setting
from dspex.config import ProviderSettings, TelemetrySettings
from dspex.messages import Message, Request
from dspex.runtime import Runtime
from dspex.testing import FakeTransport, chat_reply

__all__ = ("measure_aim",)

_CALLS = 4_000
_IN_FLIGHT = 64
_LISTENERS: dict[str, dict[str, Any]] = {
    "the log, every retry and failure": {"log": "json", "log_level": "debug"},
    "Prometheus": {"telemetry": TelemetrySettings(prometheus=True)},
    "OpenTelemetry": {"telemetry": TelemetrySettings(otel=True)},
    "OpenTelemetry with content": {"telemetry": TelemetrySettings(otel=True, otel_content=True)},
}


async def measure_aim(setting: Setting) -> list[Figure]:
    """Measure what each listener adds to a call."""
    tracers = TracerProvider()
    tracers.add_span_processor(SpanProcessor())
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider())
    return [await _measure(setting, name, given) for name, given in _LISTENERS.items()]


async def _measure(setting: Setting, name: str, given: dict[str, Any]) -> Figure:
    calls = setting.scaled(_CALLS)
    async with _open(log="off") as silent, _open(**{"log": "off", **given}) as watched:

        async def reference(_: int) -> Cost:
            return await _calls(silent, calls)

        async def subject(_: int) -> Cost:
            return await _calls(watched, calls)

        pairs = await interleave(
            reference, subject, pairs=setting.pairs, value=lambda cost: cost.cpu_us_per_call
        )

    added = span_of(own - other for other, own in zip(pairs.reference, pairs.subject, strict=True))
    return Figure(
        "PT",
        f"what a listener adds to a call: {name}",
        added,
        " us",
        None,
        reference=f"no listener {span_of(pairs.reference).median:.0f} us",
        subject=f"{span_of(pairs.subject).median:.0f} us",
        samples={"reference_us": pairs.reference, "subject_us": pairs.subject},
    )


@asynccontextmanager
async def _open(**settings: Any) -> AsyncIterator[Runtime]:
    transport = FakeTransport(lambda _: chat_reply("yes"))
    async with Runtime(
        default="fake/m",
        providers={"fake": ProviderSettings(base_url="http://fake")},
        session=transport.session,
        cache=None,
        **settings,
    ) as runtime:
        yield runtime


async def _calls(runtime: Runtime, calls: int) -> Cost:
    client = runtime.client()
    requests = [Request((Message("user", f"question {n}"),)) for n in range(calls)]
    return await measure(calls, lambda: drive(client.complete, requests, in_flight=_IN_FLIGHT))
