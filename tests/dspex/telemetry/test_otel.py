"""One evaluation as OpenTelemetry shows it: spans under the right parents, and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import dspex
from dspex.errors import ProviderError
from dspex.messages import Message, Request
from dspex.runtime import Runtime
from dspex.telemetry import LM_START, PROGRAM_START
from dspex.telemetry.otel import otel_exporter
from dspex.testing import FakeReply, FakeTransport, chat_reply
from supervision import Bus
from tests.support.pipeline import ask, error_reply, runtime_on

ANSWER = "[[ ## answer ## ]]\n4\n\n[[ ## completed ## ]]"


class Watched:
    """The exporter on a bus, with providers that keep everything."""

    def __init__(self, bus: Bus, **options: Any) -> None:
        self.spans = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.meters = MeterProvider([self.reader])
        up = asyncio.Event()
        self.up = up
        self.task = asyncio.create_task(
            otel_exporter(
                bus,
                ready=lambda _: up.set(),
                tracer_provider=self.tracers,
                meter_provider=self.meters,
                **options,
            )
        )

    def named(self, start: str) -> list[ReadableSpan]:
        return [span for span in self.spans.get_finished_spans() if span.name.startswith(start)]

    def points(self, metric: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        assert data is not None
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for found in scope.metrics
            if found.name == metric
            for point in found.data.data_points
        ]


@asynccontextmanager
async def watching(bus: Bus, **options: Any) -> AsyncIterator[Watched]:
    watched = Watched(bus, **options)
    await watched.up.wait()
    try:
        yield watched
    finally:
        watched.task.cancel()
        await asyncio.wait([watched.task])
        watched.tracers.shutdown()
        watched.meters.shutdown()


def parent(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def identity(span: ReadableSpan) -> int:
    return span.get_span_context().span_id  # type: ignore[union-attr]


@asynccontextmanager
async def observed(
    answer: Callable[[dict[str, Any]], FakeReply | Exception],
    *,
    cache: bool = False,
    **options: Any,
) -> AsyncIterator[tuple[Runtime, Watched]]:
    async with (
        runtime_on(FakeTransport(answer), cache=cache, max_retries=1) as runtime,
        watching(runtime.bus, **options) as watched,
    ):
        yield runtime, watched


class Twice(dspex.Program):
    """Asks two parts at once, each in a task of its own."""

    def __init__(self) -> None:
        self.one = dspex.Predict("question -> answer")
        self.two = dspex.Predict("question -> answer")

    async def forward(self, question: str) -> dspex.Prediction:
        await dspex.map(lambda part: part(question=question), [self.one, self.two])
        return await self.one(question=f"{question}!")


class TestSpans:
    async def test_one_evaluation(self) -> None:
        """Evaluation over programs over parts over calls, whichever task they ran in."""
        data = [
            dspex.Example(question=str(n), answer="4").with_inputs("question") for n in range(5)
        ]
        async with observed(lambda _: chat_reply(ANSWER)) as (_, watched):
            report = await dspex.evaluate(Twice(), data, dspex.exact_match("answer"))

        (evaluation,) = watched.named("evaluate ")
        programs, parts = watched.named("Twice"), watched.named("Predict")
        calls = watched.named("chat ")
        assert (1.0, 5, 15, 15) == (report.score, len(programs), len(parts), len(calls))
        assert {identity(evaluation)} == {parent(span) for span in programs}
        assert {identity(span) for span in programs} == {parent(span) for span in parts}
        assert {identity(span) for span in parts} == {parent(span) for span in calls}
        assert (1.0, 5) == (
            (evaluation.attributes or {})["dspex.score"],
            (evaluation.attributes or {})["dspex.total"],
        )

    async def test_a_call_says_what_the_conventions_ask_for(self) -> None:
        """And no word of what was asked or answered."""
        request = Request(
            (Message("user", "private question"),), sampling=dspex.Sampling(temperature=0.5)
        )
        async with observed(lambda _: chat_reply("private answer")) as (runtime, watched):
            with dspex.scope(correlation_id="mine"):
                await runtime.client().complete(request)

        (span,) = watched.named("chat ")
        attributes: dict[str, Any] = dict(span.attributes or {})
        assert "CLIENT" == span.kind.name
        assert {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "fake",
            "gen_ai.request.model": "model",
            "gen_ai.request.temperature": 0.5,
            "gen_ai.response.finish_reasons": ("stop",),
            "dspex.correlation_id": "mine",
            "dspex.cached": False,
        }.items() <= attributes.items()
        assert attributes["gen_ai.usage.input_tokens"] > 0
        assert "private" not in str(attributes)

    async def test_content_is_there_where_it_is_asked_for(self) -> None:
        """As JSON, in both directions."""
        async with observed(lambda _: chat_reply("the answer"), content=True) as (runtime, watched):
            await runtime.client().complete(ask("the question"))

        (span,) = watched.named("chat ")
        attributes = span.attributes or {}
        assert "the question" in str(attributes["gen_ai.input.messages"])
        assert "the answer" in str(attributes["gen_ai.output.messages"])

    async def test_a_failed_call_has_its_kind_and_its_retries(self) -> None:
        """Not the text, which may quote the answer."""
        async with observed(lambda _: error_reply(503)) as (runtime, watched):
            with pytest.raises(ProviderError):
                await runtime.client().complete(ask())

        (span,) = watched.named("chat ")
        assert ("ERROR", None) == (span.status.status_code.name, span.status.description)
        assert "server" == (span.attributes or {})["error.type"]
        assert ["retry"] == [event.name for event in span.events]

    async def test_a_program_that_raises_is_marked(self) -> None:
        """By the type of its error, and its parent too."""
        async with observed(lambda _: chat_reply("no fields")) as (_, watched):
            with pytest.raises(dspex.ParseError):
                await dspex.Predict("question -> n: int")(question="q")

        (span,) = watched.named("Predict")
        assert "ParseError" == (span.attributes or {})["error.type"]
        assert span.status.description is None

    async def test_concurrent_programs_do_not_adopt_each_others_calls(self) -> None:
        """Each call is below the program that made it."""
        program = dspex.Predict("question -> answer")
        async with (
            observed(lambda _: chat_reply(ANSWER, delay_s=0.01)) as (_, watched),
            asyncio.TaskGroup() as group,
        ):
            for n in range(20):
                group.create_task(program(question=str(n)))

        programs, calls = watched.named("Predict"), watched.named("chat ")
        assert sorted(map(identity, programs)) == sorted(
            found for call in calls if (found := parent(call)) is not None
        )
        assert {None} == {parent(program) for program in programs}

    async def test_spans_of_the_application_are_the_parents(self) -> None:
        """A request of its server is where the trace begins."""
        async with observed(lambda _: chat_reply(ANSWER)) as (_, watched):
            with watched.tracers.get_tracer("app").start_as_current_span("request") as outer:
                await dspex.Predict("question -> answer")(question="q")

            (span,) = watched.named("Predict")

        assert outer.get_span_context().span_id == parent(span)

    async def test_a_cached_answer_is_marked_and_not_measured(self) -> None:
        """No provider was asked: it must not make the durations look better."""
        async with observed(lambda _: chat_reply("yes"), cache=True) as (runtime, watched):
            await runtime.client().complete(ask())
            await runtime.client().complete(ask())
            (duration,) = watched.points("gen_ai.client.operation.duration")

        cached = [(span.attributes or {})["dspex.cached"] for span in watched.named("chat ")]
        assert [False, True] == cached
        assert 1 == duration.count

    async def test_embeddings_are_told_from_chats(self) -> None:
        """By their operation, in spans and metrics."""
        data = {"index": 0, "embedding": [0.5]}
        body = orjson.dumps({"data": [data], "model": "m", "usage": {"prompt_tokens": 1}})
        async with observed(lambda _: FakeReply(200, body)) as (runtime, watched):
            await runtime.client().embed(["text"])
            (duration,) = watched.points("gen_ai.client.operation.duration")

        assert ["embeddings model"] == [span.name for span in watched.named("")]
        assert "embeddings" == duration.attributes["gen_ai.operation.name"]


class TestMetrics:
    async def test_durations_and_tokens_of_calls(self) -> None:
        """With the buckets of the conventions."""
        async with observed(lambda _: chat_reply("yes")) as (runtime, watched):
            for n in range(3):
                await runtime.client().complete(ask(str(n)))

            (duration,) = watched.points("gen_ai.client.operation.duration")
            tokens = watched.points("gen_ai.client.token.usage")

        assert 3 == duration.count
        assert (0.01, 81.92) == (duration.explicit_bounds[0], duration.explicit_bounds[-1])
        assert {"input", "output"} == {point.attributes["gen_ai.token.type"] for point in tokens}

    async def test_failures_have_their_kind(self) -> None:
        """A dashboard tells an outage from a quota."""
        async with observed(lambda _: error_reply(401)) as (runtime, watched):
            with pytest.raises(ProviderError):
                await runtime.client().complete(ask())

            (duration,) = watched.points("gen_ai.client.operation.duration")

        assert "auth" == duration.attributes["error.type"]


class TestLife:
    async def test_what_is_open_at_the_end_is_closed(self) -> None:
        """And an end without a beginning is ignored: the child was restarted in between."""
        bus = Bus()
        about = {"program": "P", "path": ("a",), "correlation_id": "c", "span": object()}
        async with watching(bus) as watched:
            bus.execute(PROGRAM_START, {}, about)
            bus.execute(("dspex", "program", "stop"), {}, {**about, "span": object()})
            assert PROGRAM_START in bus.listeners

        assert ["P"] == [span.name for span in watched.spans.get_finished_spans()]
        assert not bus.active

    async def test_events_nobody_asked_for_are_not_built(self) -> None:
        """Only what becomes a span or a metric is listened to."""
        bus = Bus()
        async with watching(bus):
            assert LM_START in bus.listeners
            assert ("dspex", "cache", "hit") not in bus.listeners
