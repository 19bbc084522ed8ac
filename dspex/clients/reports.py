"""The events of a call. Each asks first whether anybody listens, and builds nothing if not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex.telemetry.events import (
    CACHE_HIT,
    CACHE_MISS,
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
    "report_lookup",
    "report_retry",
    "report_start",
)


def report_start(call: Call) -> None:
    """Announce that a call begins."""
    bus = call.endpoint.bus
    if LM_START in bus.listeners:
        bus.execute(LM_START, {}, _about(call))


def report_lookup(call: Call, found: Response | None) -> None:
    """Announce whether the cache had the answer."""
    bus = call.endpoint.bus
    event = CACHE_MISS if found is None else CACHE_HIT
    if event in bus.listeners:
        bus.execute(event, {}, _about(call))


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
        }
        bus.execute(LM_STOP, measured, {**_about(call), "cached": response.cached})


def report_failure(call: Call, error: ProviderError) -> None:
    """Announce that a call failed for good."""
    bus = call.endpoint.bus
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


def _about(call: Call) -> dict[str, object]:
    return {
        "endpoint": call.endpoint.name,
        "model": call.request.model,
        "correlation_id": call.scope.correlation_id,
    }
