"""Events as Prometheus counters and histograms, in a registry of the runtime's own.

Labels are endpoints, models, programs and kinds of errors, never a text of a prompt. Each metric
has a bounded number of them: what comes after is counted as "other".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dspex.errors import ConfigError
from dspex.telemetry.events import (
    BREAKER_STATE,
    BUDGET_REFUSED,
    CACHE_FAULT,
    CACHE_HIT,
    CACHE_MISS,
    EVALUATE_EXAMPLE,
    LIMITER_PAUSE,
    LIMITER_WAIT,
    LM_EXCEPTION,
    LM_RETRY,
    LM_START,
    LM_STOP,
    PROGRAM_EXCEPTION,
    PROGRAM_STOP,
    REPAIR,
)
from dspex.telemetry.listening import Handlers, listening, stay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics import MetricWrapperBase

    from supervision.telemetry import Bus

__all__ = ("Metrics", "metrics_exporter")

_MOST_LABELS: Final = 500
_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


async def metrics_exporter(
    bus: Bus,
    *,
    ready: Callable[[object], None],
    host: str = "127.0.0.1",
    port: int | None = None,
) -> None:
    """Count events for as long as the child lives, and answer scrapes if there is a port.

    Args:
        bus: where the events are.
        ready: takes the Metrics.
        host: the address to answer on.
        port: None: no one is answered; 0: any free one, which `Metrics.port` tells.
    """
    metrics = Metrics()
    with listening(bus, metrics.handlers()):
        if port is None:
            ready(metrics)
            await stay()
        else:
            await _serve(metrics, host, port, ready)


async def _serve(metrics: Metrics, host: str, port: int, ready: Callable[[object], None]) -> None:
    from aiohttp import web

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": metrics.content_type})

    app = web.Application()
    app.router.add_get("/metrics", scrape)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as exc:
            raise ConfigError(
                f"cannot be listened on at {host}: {exc.strerror or exc}; give another, or 0 for "
                f"any that is free",
                source="settings",
                key="telemetry.metrics_port",
                value=port,
            ) from exc

        metrics.port = runner.addresses[0][1]
        ready(metrics)
        await stay()
    finally:
        await runner.cleanup()


class Metrics:
    """The metrics of one runtime; they begin at zero when their child restarts, as is usual.

    Attributes:
        registry: for an application that answers scrapes itself.
        port: where scrapes are answered; None where they are not.
    """

    def __init__(self) -> None:
        from prometheus_client import (
            CONTENT_TYPE_LATEST,
            CollectorRegistry,
            Counter,
            Gauge,
            Histogram,
            generate_latest,
        )

        self.port: int | None = None
        self.content_type = CONTENT_TYPE_LATEST
        self.registry: CollectorRegistry = CollectorRegistry(auto_describe=True)
        self._generate = generate_latest

        def make(kind: Any, name: str, words: str, *labels: str, **more: Any) -> _Labelled:
            return _Labelled(kind(f"dspex_{name}", words, labels, registry=self.registry, **more))

        seconds = {"buckets": _SECONDS}
        call = ("endpoint", "model")
        self._requests = make(Counter, "lm_requests", "Model calls", *call, "outcome")
        self._in_flight = make(Gauge, "lm_requests_in_flight", "Model calls now", "endpoint")
        self._duration = make(
            Histogram, "lm_request_duration_seconds", "Model calls answered", *call, **seconds
        )
        self._tokens = make(Counter, "lm_tokens", "Tokens", *call, "direction")
        self._cost = make(Counter, "lm_cost_usd", "Cost where it is known", *call)
        self._retries = make(Counter, "lm_retries", "Tries that were repeated", *call, "kind")
        self._waits = make(
            Histogram, "limiter_wait_seconds", "Waits before a try", "endpoint", "stage", **seconds
        )
        self._pauses = make(Counter, "limiter_pauses", "Pauses of an endpoint", "endpoint")
        self._refusals = make(Counter, "budget_refusals", "Calls without a budget", "endpoint")
        self._lookups = make(Counter, "cache_lookups", "Looked up in the cache", "level")
        self._faults = make(Counter, "cache_faults", "Faults of the cache's disk")
        self._breakers = make(Counter, "breaker_changes", "Changes of breakers", "breaker", "new")
        self._open = make(
            Gauge, "breaker_open", "1 while a breaker lets nothing through", "breaker"
        )
        self._programs = make(Counter, "program_calls", "Calls of programs", "program", "outcome")
        self._spent = make(
            Histogram, "program_duration_seconds", "Calls of programs", "program", **seconds
        )
        self._repairs = make(Counter, "program_repairs", "Answers not to be read", "program")
        self._examples = make(Counter, "evaluate_examples", "Examples evaluated", "status")

    def __repr__(self) -> str:
        return f"<Metrics port={self.port}>"

    def text(self) -> bytes:
        """Return all metrics in the text format that Prometheus scrapes."""
        return self._generate(self.registry)

    def handlers(self) -> Handlers:
        """Return what is to be done on each event."""
        return {
            LM_START: lambda _, about: self._in_flight.of(about["endpoint"]).inc(),
            LM_STOP: self._stop_call,
            LM_EXCEPTION: self._fail_call,
            LM_RETRY: lambda _, about: self._retries.of(*_call(about), about["kind"]).inc(),
            LIMITER_WAIT: self._wait,
            LIMITER_PAUSE: lambda _, about: self._pauses.of(about["endpoint"]).inc(),
            BUDGET_REFUSED: lambda _, about: self._refusals.of(about["endpoint"]).inc(),
            CACHE_HIT: lambda _, about: self._lookups.of(about["level"]).inc(),
            CACHE_MISS: self._count_miss,
            CACHE_FAULT: self._count_faults,
            BREAKER_STATE: self._change_breaker,
            PROGRAM_STOP: self._stop_program,
            PROGRAM_EXCEPTION: self._stop_program,
            REPAIR: lambda _, about: self._repairs.of(about["program"]).inc(),
            EVALUATE_EXAMPLE: lambda _, about: self._examples.of(about["status"]).inc(),
        }

    def _stop_call(self, figures: Mapping[str, Any], about: Mapping[str, object]) -> None:
        call = _call(about)
        self._in_flight.of(call[0]).dec()
        if about["cached"]:
            self._requests.of(*call, "cached").inc()
            return

        self._requests.of(*call, "ok").inc()
        self._duration.of(*call).observe(figures["duration_s"])
        for direction in ("input", "output"):
            self._tokens.of(*call, direction).inc(figures[f"{direction}_tokens"])

        if figures["cost_usd"] is not None:
            self._cost.of(*call).inc(float(figures["cost_usd"]))

    def _fail_call(self, _: Mapping[str, object], about: Mapping[str, object]) -> None:
        call = _call(about)
        self._in_flight.of(call[0]).dec()
        self._requests.of(*call, about["kind"]).inc()

    def _wait(self, figures: Mapping[str, Any], about: Mapping[str, object]) -> None:
        self._waits.of(about["endpoint"], about["stage"]).observe(figures["wait_s"])

    def _count_miss(self, _: Mapping[str, object], __: Mapping[str, object]) -> None:
        self._lookups.of("miss").inc()

    def _count_faults(self, figures: Mapping[str, Any], _: Mapping[str, object]) -> None:
        self._faults.of().inc(figures["count"])

    def _change_breaker(self, _: Mapping[str, object], about: Mapping[str, object]) -> None:
        self._breakers.of(about["breaker"], about["new"]).inc()
        self._open.of(about["breaker"]).set(about["new"] == "open")

    def _stop_program(self, figures: Mapping[str, Any], about: Mapping[str, object]) -> None:
        outcome = "error" if "error" in about else "ok"
        self._programs.of(about["program"], outcome).inc()
        self._spent.of(about["program"]).observe(figures["duration_s"])


class _Labelled:
    """A metric and its children by labels, of which it makes a bounded number.

    Making a child costs three times as much as counting with it.
    """

    __slots__ = ("_children", "_metric")

    def __init__(self, metric: MetricWrapperBase) -> None:
        self._metric = metric
        self._children: dict[tuple[object, ...], Any] = {}

    def of(self, *labels: object) -> Any:
        """Return the child for these labels; for "other" where there are too many."""
        child = self._children.get(labels)
        if child is not None:
            return child

        if not labels:
            return self._metric

        if len(self._children) >= _MOST_LABELS and labels[0] != "other":
            return self.of(*("other" for _ in labels))

        child = self._children[labels] = self._metric.labels(*map(str, labels))
        return child


def _call(about: Mapping[str, object]) -> tuple[object, object]:
    return about["endpoint"], about["model"]
