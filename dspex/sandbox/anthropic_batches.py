"""Anthropic's message batches: requests go up in one body, results come down line by line.

POST and GET /v1/messages/batches, GET and DELETE /v1/messages/batches/{id}, POST .../{id}/cancel,
GET .../{id}/results. Source: the Anthropic API reference, and what its SDK reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from dspex.sandbox.batch_lines import answer_line, new_batch, read_line
from dspex.sandbox.batches import Batch, Progress, check_identities
from dspex.sandbox.demands import Plain
from dspex.sandbox.exchange import RequestError
from dspex.sandbox.reading import invalid, read_json, read_list, read_object, read_text
from dspex.sandbox.wires import ANTHROPIC, utc_text
from dspex.sandbox.wires.anthropic import error_object

if TYPE_CHECKING:
    from aiohttp import web

    from dspex.sandbox.state import State

__all__ = ("ANTHROPIC_BATCHES", "ANTHROPIC_BATCH_ROUTES")

ANTHROPIC_BATCHES: Final = "anthropic_batches"
"""The name of these routes in the ledger."""

_MAX_LINES: Final = 100_000
_LINES: Final = "application/x-jsonl"


def _create(state: State, request: web.Request, raw: bytes) -> object:
    """Make a batch; a request in it that is not valid fails alone, later."""
    requests = read_list("requests", read_json(raw).get("requests"))
    if not 1 <= len(requests) <= _MAX_LINES:
        raise invalid("requests", f"expected 1 to {_MAX_LINES} requests, got {len(requests)}")

    lines = [_line(state, f"requests.{i}", item) for i, item in enumerate(requests)]
    if (double := check_identities(lines)) is not None:
        raise invalid("requests", f"the custom_id {double!r} is used twice")

    origin = f"{request.scheme}://{request.host}"
    batch = new_batch(state, ANTHROPIC_BATCHES, lines, {"origin": origin})
    identity = f"msgbatch_sandbox_{batch.number}"
    state.batches.batches[identity] = batch
    return _view(state, identity, batch)


def _line(state: State, place: str, value: object) -> Any:
    item = read_object(place, value, optional=False)
    identity = read_text(f"{place}.custom_id", item.get("custom_id"))
    params = read_object(f"{place}.params", item.get("params"), optional=False)
    return read_line(state, identity, ANTHROPIC, params)


def _list(state: State, request: web.Request, raw: bytes) -> object:
    data = [
        _view(state, identity, batch)
        for identity, batch in reversed(state.batches.batches.items())
        if batch.wire == ANTHROPIC_BATCHES
    ]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"data": data, "has_more": False, "first_id": first, "last_id": last}


def _read(state: State, request: web.Request, raw: bytes) -> object:
    identity = request.match_info["id"]
    return _view(state, identity, state.batches.batch(identity, ANTHROPIC_BATCHES))


def _cancel(state: State, request: web.Request, raw: bytes) -> object:
    """Cancel a batch that still runs; what is done by now keeps its results."""
    identity = request.match_info["id"]
    batch = state.batches.batch(identity, ANTHROPIC_BATCHES)
    if batch.progress(state.now_s()).end is not None:
        raise RequestError(f"Batch {identity} cannot be canceled: it has ended.")

    before = _view(state, identity, batch)
    batch.canceled_s = state.now_s()
    at = utc_text(state.wall_clock())
    return {**before, "processing_status": "canceling", "cancel_initiated_at": at}


def _delete(state: State, request: web.Request, raw: bytes) -> object:
    identity = request.match_info["id"]
    batch = state.batches.batch(identity, ANTHROPIC_BATCHES)
    if batch.progress(state.now_s()).end is None:
        raise RequestError(f"Batch {identity} cannot be deleted: cancel it first.")

    del state.batches.batches[identity]
    return {"id": identity, "type": "message_batch_deleted"}


def _results(state: State, request: web.Request, raw: bytes) -> object:
    """Return the results, one JSON object a line; they are made once."""
    identity = request.match_info["id"]
    batch = state.batches.batch(identity, ANTHROPIC_BATCHES)
    progress = batch.progress(state.now_s())
    if progress.end is None:
        raise RequestError(f"Batch {identity} has no results yet.", kind="not_found")

    if batch.results is None:
        batch.results = [_result(state, batch, i, progress) for i in range(len(batch.lines))]

    return Plain(b"".join(batch.results), _LINES)


def _result(state: State, batch: Batch, index: int, progress: Progress) -> bytes:
    """Return the line that tells what became of a request."""
    outcome = batch.outcome(index, progress)
    result: dict[str, Any] = {"type": outcome}
    if outcome in ("succeeded", "errored"):
        body, problem = answer_line(state, batch, index)
        if problem is not None:
            result["error"] = error_object(problem)
        else:
            result["message"] = orjson.Fragment(body or b"{}")

    return orjson.dumps({"custom_id": batch.lines[index].identity, "result": result}) + b"\n"


def _view(state: State, identity: str, batch: Batch) -> dict[str, Any]:
    """Return a batch as it is now; its counts stay at processing until it has ended."""
    now_s, wall_s = state.now_s(), state.wall_clock()
    progress = batch.progress(now_s)

    def shown(at_s: float | None) -> str | None:
        return None if at_s is None else utc_text(wall_s - now_s + at_s)

    counts = {str(outcome): n for outcome, n in batch.counts(progress).items()}
    if progress.end is None:
        counts = {**dict.fromkeys(counts, 0), "processing": len(batch.lines)}

    results = f"{batch.details['origin']}/v1/messages/batches/{identity}/results"
    return {
        "id": identity,
        "type": "message_batch",
        "processing_status": "in_progress" if progress.end is None else "ended",
        "request_counts": counts,
        "created_at": shown(batch.created_s),
        "expires_at": shown(batch.created_s + batch.expire_s),
        "ended_at": shown(progress.ended_s),
        "archived_at": None,
        "cancel_initiated_at": shown(batch.canceled_s),
        "results_url": None if progress.end is None else results,
    }


ANTHROPIC_BATCH_ROUTES: Final = (
    ("POST", "/v1/messages/batches", _create),
    ("GET", "/v1/messages/batches", _list),
    ("GET", "/v1/messages/batches/{id}", _read),
    ("DELETE", "/v1/messages/batches/{id}", _delete),
    ("POST", "/v1/messages/batches/{id}/cancel", _cancel),
    ("GET", "/v1/messages/batches/{id}/results", _results),
)
"""Method, path and function of each route."""
