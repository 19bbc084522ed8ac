"""Events as OpenTelemetry spans and metrics, by its conventions for generative AI.

One span for a model call, a program's call, an evaluation and an optimization, never one for a
chunk. A program's span is the current one while it runs, so that what happens inside, in tasks of
its own too, comes below it; programs of an evaluation come below the evaluation. What was asked and
answered, and the text of errors, which may quote it, are only recorded where that is asked for.

The application sets up the providers: without any, OpenTelemetry itself does nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dspex.telemetry import semconv
from dspex.telemetry.events import (
    EVALUATE_START,
    EVALUATE_STOP,
    LM_EXCEPTION,
    LM_RETRY,
    LM_START,
    LM_STOP,
    PROGRAM_EXCEPTION,
    PROGRAM_START,
    PROGRAM_STOP,
)
from dspex.telemetry.listening import Handlers, listening, stay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from supervision.telemetry import Bus

__all__ = ("SpanExporter", "otel_exporter")

_MOST_OPEN: Final = 200_000
"""More spans than calls in flight: what is open beyond was never closed, and is not followed."""

_PROVIDERS: Final = {"gemini": "gcp.gemini", "moonshot": "moonshot_ai", "xai": "x_ai"}
"""The conventions' names of providers that we call otherwise."""


class _Open(NamedTuple):
    span: Span
    token: Any = None


async def otel_exporter(
    bus: Bus,
    *,
    ready: Callable[[object], None],
    content: bool = False,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> None:
    """Export events for as long as the child lives.

    Args:
        bus: where the events are.
        ready: takes the exporter.
        content: whether prompts, answers and errors' texts are recorded.
        tracer_provider: None: OpenTelemetry's global one.
        meter_provider: likewise.
    """
    exporter = SpanExporter(tracer_provider, meter_provider, content=content)
    try:
        with listening(bus, exporter.handlers()):
            ready(exporter)
            await stay()
    finally:
        exporter.close()


class SpanExporter:
    """Opens and closes a span for each pair of events, and measures calls.

    The handlers run in the task that is watched, which is how a span finds its parent.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
        *,
        content: bool,
    ) -> None:
        from opentelemetry import context, metrics, trace

        self._trace = trace
        self._context = context
        self._content = content
        self._tracer = trace.get_tracer("dspex", tracer_provider=tracer_provider)
        meter = metrics.get_meter("dspex", meter_provider=meter_provider)
        self._duration = meter.create_histogram(
            semconv.DURATION,
            unit="s",
            description="Duration of a model call",
            explicit_bucket_boundaries_advisory=semconv.DURATION_BUCKETS_S,
        )
        self._tokens = meter.create_histogram(
            semconv.TOKEN_USAGE,
            unit="{token}",
            description="Tokens of a model call",
            explicit_bucket_boundaries_advisory=semconv.TOKEN_BUCKETS,
        )
        self._open: dict[object, _Open] = {}
        self._programs: set[int] = set()

    def __repr__(self) -> str:
        return f"<SpanExporter {len(self._open)} spans open>"

    def handlers(self) -> Handlers:
        """Return what is to be done on each event."""
        return {
            PROGRAM_START: self._start_program,
            PROGRAM_STOP: self._stop_program,
            PROGRAM_EXCEPTION: self._stop_program,
            LM_START: self._start_call,
            LM_RETRY: self._retry_call,
            LM_STOP: self._stop_call,
            LM_EXCEPTION: self._fail_call,
            EVALUATE_START: self._start_evaluation,
            EVALUATE_STOP: self._stop_evaluation,
        }

    def close(self) -> None:
        """End every span that is open: its end will not be seen."""
        for opened in self._open.values():
            opened.span.end()

        self._open.clear()
        self._programs.clear()

    # --- programs and evaluations

    def _start_program(self, _: Mapping[str, object], about: Mapping[str, object]) -> None:
        if len(self._open) >= _MOST_OPEN:
            return

        span = self._tracer.start_span(
            str(about["program"]),
            self._parent(str(about["correlation_id"])),
            attributes={
                "dspex.program": str(about["program"]),
                "dspex.path": _place(about["path"]),
                "dspex.correlation_id": str(about["correlation_id"]),
            },
        )
        token = self._context.attach(self._trace.set_span_in_context(span))
        self._open[about["span"]] = _Open(span, token)
        self._programs.add(id(span))

    def _stop_program(self, _: Mapping[str, object], about: Mapping[str, object]) -> None:
        opened = self._open.pop(about["span"], None)
        if opened is None:
            return

        self._programs.discard(id(opened.span))
        self._context.detach(opened.token)
        error = about.get("error")
        if error is not None:
            self._mark(opened.span, type(error).__name__, str(error))

        opened.span.end()

    def _start_evaluation(self, _: Mapping[str, object], about: Mapping[str, object]) -> None:
        span = self._tracer.start_span(
            f"evaluate {about['program']}",
            attributes={
                "dspex.program": str(about["program"]),
                "dspex.metric": str(about["metric"]),
                "dspex.evaluation": str(about["evaluation"]),
            },
        )
        self._open[about["evaluation"]] = _Open(span)

    def _stop_evaluation(self, figures: Mapping[str, object], about: Mapping[str, object]) -> None:
        opened = self._open.pop(about["evaluation"], None)
        if opened is None:
            return

        for name in ("score", "total"):
            value = figures.get(name)
            if isinstance(value, (int, float)):
                opened.span.set_attribute(f"dspex.{name}", value)

        opened.span.end()

    def _parent(self, correlation_id: str) -> Any:
        """Return the context of a program's parent; None: what is current."""
        current = self._trace.get_current_span()
        if id(current) in self._programs:
            return None

        # An example's id begins with its evaluation's.
        evaluation = self._open.get(correlation_id.partition("-")[0])
        return None if evaluation is None else self._trace.set_span_in_context(evaluation.span)

    # --- model calls

    def _start_call(self, _: Mapping[str, object], about: Mapping[str, object]) -> None:
        if len(self._open) >= _MOST_OPEN:
            return

        request: Any = about["request"]
        attributes = _of_call(about) | {"dspex.correlation_id": str(about["correlation_id"])}
        sampling = getattr(request, "sampling", None)
        for field, name in semconv.SAMPLING:
            value = getattr(sampling, field, None)
            if value is not None:
                attributes[name] = value

        if self._content:
            attributes[semconv.INPUT_MESSAGES] = _as_json(request)

        span = self._tracer.start_span(
            f"{attributes[semconv.OPERATION]} {about['model']}",
            kind=self._trace.SpanKind.CLIENT,
            attributes=attributes,
        )
        self._open[about["span"]] = _Open(span)

    def _retry_call(self, figures: Mapping[str, object], about: Mapping[str, object]) -> None:
        opened = self._open.get(about["span"])
        if opened is not None:
            delay_s: Any = figures["delay_s"]
            told = {semconv.ERROR_TYPE: str(about["kind"]), "dspex.delay_s": delay_s}
            opened.span.add_event("retry", told)

    def _stop_call(self, figures: Mapping[str, Any], about: Mapping[str, object]) -> None:
        if not about["cached"]:
            self._measure(figures, about)

        opened = self._open.pop(about["span"], None)
        if opened is None:
            return

        span, response = opened.span, about["response"]
        span.set_attributes(_of_answer(response, figures))
        span.set_attribute("dspex.cached", bool(about["cached"]))
        if self._content:
            span.set_attribute(semconv.OUTPUT_MESSAGES, _as_json(response))

        span.end()

    def _fail_call(self, figures: Mapping[str, Any], about: Mapping[str, object]) -> None:
        kind = str(about["kind"])
        self._duration.record(figures["duration_s"], _of_call(about) | {semconv.ERROR_TYPE: kind})
        opened = self._open.pop(about["span"], None)
        if opened is not None:
            self._mark(opened.span, kind, str(about["error"]))
            opened.span.end()

    def _measure(self, figures: Mapping[str, Any], about: Mapping[str, object]) -> None:
        attributes = _of_call(about)
        self._duration.record(figures["duration_s"], attributes)
        for kind in ("input", "output"):
            tokens = {**attributes, semconv.TOKEN_TYPE: kind}
            self._tokens.record(figures[f"{kind}_tokens"], tokens)

    def _mark(self, span: Span, kind: str, words: str) -> None:
        status = self._trace.StatusCode.ERROR
        span.set_attribute(semconv.ERROR_TYPE, kind)
        span.set_status(status, words if self._content else None)


def _of_call(about: Mapping[str, object]) -> dict[str, Any]:
    endpoint = str(about["endpoint"])
    return {
        semconv.OPERATION: str(about["operation"]),
        semconv.PROVIDER: _PROVIDERS.get(endpoint, endpoint),
        semconv.REQUEST_MODEL: str(about["model"]),
    }


def _of_answer(response: Any, figures: Mapping[str, Any]) -> dict[str, Any]:
    choices = getattr(response, "choices", ())
    found = {
        semconv.RESPONSE_MODEL: response.model or None,
        semconv.RESPONSE_ID: response.request_id,
        semconv.FINISH_REASONS: [choice.finish_reason.value for choice in choices] or None,
        semconv.INPUT_TOKENS: figures["input_tokens"],
        semconv.OUTPUT_TOKENS: figures["output_tokens"],
    }
    return {name: value for name, value in found.items() if value is not None}


def _as_json(value: Any) -> str:
    from orjson import dumps

    data = value.to_dict()
    return dumps(data.get("messages") or data.get("choices") or data).decode()


def _place(path: Any) -> str:
    return "/".join(map(str, path))
