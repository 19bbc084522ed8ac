"""The events of a call. Each asks first whether anybody listens, and builds nothing if not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex.errors import ErrorKind
from dspex.telemetry.events import (
    BUDGET_REFUSED,
    CACHE_HIT,
    CACHE_MISS,
    LIMITER_PAUSE,
    LIMITER_WAIT,
    LM_EXCEPTION,
    LM_RETRY,
    LM_START,
    LM_STOP,
)

if TYPE_CHECKING:
    from dspex.clients.call import Call
    from dspex.errors import ErrorData, ProviderError
    from dspex.messages import Response

__all__ = (
    "report_abandoned",
    "report_answer",
    "report_failure",
    "report_hit",
    "report_miss",
    "report_pause",
    "report_retry",
    "report_start",
    "report_wait",
)


def report_start(call: Call) -> None:
    """Announce that a call begins."""
    bus = call.endpoint.bus
    if LM_START in bus.listeners:
        bus.execute(LM_START, {}, {**_about(call), "request": call.request})


def report_hit(call: Call, level: str) -> None:
    """Announce that the cache had the answer, and where."""
    bus = call.endpoint.bus
    if CACHE_HIT in bus.listeners:
        bus.execute(CACHE_HIT, {}, {**_about(call), "level": level})


def report_miss(call: Call) -> None:
    """Announce that the provider has to be asked."""
    bus = call.endpoint.bus
    if CACHE_MISS in bus.listeners:
        bus.execute(CACHE_MISS, {}, _about(call))


def report_retry(call: Call, error: ErrorData, delay_s: float) -> None:
    """Announce that a try failed and another follows."""
    bus = call.endpoint.bus
    if LM_RETRY in bus.listeners:
        about = {**_about(call), "error": error.message, "kind": str(error.kind)}
        bus.execute(LM_RETRY, {"delay_s": delay_s, "failures": len(call.attempts)}, about)


def report_answer(call: Call, response: Response) -> None:
    """Announce that a call was answered."""
    bus = call.endpoint.bus
    if LM_STOP in bus.listeners:
        usage = response.usage
        measured = {
            "duration_s": call.endpoint.clock() - call.began,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "failed_attempts": usage.failed_attempts,
            "cost_usd": usage.cost_usd,
        }
        about = {**_about(call), "cached": response.cached, "response": response}
        bus.execute(LM_STOP, measured, about)


def report_failure(call: Call, error: ProviderError) -> None:
    """Announce that a call failed for good."""
    bus = call.endpoint.bus
    if error.data.kind is ErrorKind.BUDGET and BUDGET_REFUSED in bus.listeners:
        bus.execute(BUDGET_REFUSED, {}, {**_about(call), "error": str(error)})

    if LM_EXCEPTION in bus.listeners:
        measured = {
            "duration_s": call.endpoint.clock() - call.began,
            "failed_attempts": len(error.attempts),
        }
        about = {**_about(call), "error": str(error), "kind": str(error.data.kind)}
        bus.execute(LM_EXCEPTION, measured, about)


def report_abandoned(call: Call) -> None:
    """Announce that nobody waits for a call any more: it was cancelled, or its stream closed."""
    bus = call.endpoint.bus
    if LM_EXCEPTION in bus.listeners:
        measured = {
            "duration_s": call.endpoint.clock() - call.began,
            "failed_attempts": len(call.attempts),
        }
        about = {**_about(call), "error": f"given up in {call.stage}", "kind": "cancelled"}
        bus.execute(LM_EXCEPTION, measured, about)


def report_wait(call: Call, wait_s: float) -> None:
    """Announce that a try was not admitted at once."""
    bus = call.endpoint.bus
    if LIMITER_WAIT in bus.listeners:
        bus.execute(LIMITER_WAIT, {"wait_s": wait_s}, {**_about(call), "stage": call.stage})


def report_pause(call: Call, pause_s: float) -> None:
    """Announce that all calls to an endpoint wait because it refuses many."""
    bus = call.endpoint.bus
    if LIMITER_PAUSE in bus.listeners:
        bus.execute(LIMITER_PAUSE, {"pause_s": pause_s}, _about(call))


def _about(call: Call) -> dict[str, object]:
    return {
        "endpoint": call.endpoint.name,
        "model": call.request.model,
        "operation": call.operation,
        "correlation_id": call.scope.correlation_id,
        "span": call,
    }
