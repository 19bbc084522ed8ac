"""OpenAI's batches: a file of requests goes up, a batch is made of it, files of results come down.

POST and GET /v1/files, GET and DELETE /v1/files/{id}, GET /v1/files/{id}/content, POST and GET
/v1/batches, GET /v1/batches/{id}, POST /v1/batches/{id}/cancel. Source: the OpenAI API reference,
and what its SDK reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from dspex.sandbox.batch_lines import answer_line, new_batch, read_line
from dspex.sandbox.batches import Batch, Line, Progress, StoredFile, check_identities
from dspex.sandbox.demands import Plain
from dspex.sandbox.exchange import RequestError
from dspex.sandbox.forms import FormPart, read_form
from dspex.sandbox.reading import invalid, read_json, read_object, read_text
from dspex.sandbox.wires import (
    OPENAI_CHAT,
    OPENAI_DIALECT,
    OPENAI_EMBEDDINGS,
    OPENAI_RESPONSES,
    ChatWire,
    EmbeddingWire,
)
from dspex.sandbox.wires.openai import error_object

if TYPE_CHECKING:
    from aiohttp import web

    from dspex.sandbox.state import State

__all__ = ("OPENAI_BATCHES", "OPENAI_BATCH_ROUTES")

OPENAI_BATCHES: Final = "openai_batches"
"""The name of these routes in the ledger."""

_ENDPOINTS: Final[dict[str, ChatWire | EmbeddingWire]] = {
    "/v1/chat/completions": OPENAI_CHAT,
    "/v1/responses": OPENAI_RESPONSES,
    "/v1/embeddings": OPENAI_EMBEDDINGS,
}
_LINES: Final = "application/jsonl"
_MAX_LINES: Final = 50_000
_ENDS: Final = {"finished": "completed", "expired": "expired", "canceled": "cancelled"}


def _upload(state: State, request: web.Request, raw: bytes) -> object:
    """Keep a file."""
    form = read_form(request.headers.get("Content-Type", ""), raw)
    purpose = form.get("purpose", FormPart(b"")).data.decode(errors="replace")
    if purpose != "batch":
        raise invalid("purpose", f"the sandbox keeps files for 'batch' only, got {purpose!r}")

    if "file" not in form or not form["file"].filename:
        raise invalid("file", "expected a file")

    part = form["file"]
    identity = f"file-sandbox-{len(state.batches.files) + 1}"
    stored = StoredFile(identity, part.filename, purpose, part.data, state.now_s())
    state.batches.files[identity] = stored
    return _file(state, stored)


def _file(state: State, stored: StoredFile) -> dict[str, Any]:
    return {
        "id": stored.identity,
        "object": "file",
        "bytes": len(stored.data),
        "created_at": _unix(state, stored.created_s),
        "expires_at": None,
        "filename": stored.name,
        "purpose": stored.purpose,
        "status": "processed",
    }


def _unix(state: State, at_s: float) -> int:
    """Return a time of the server's clock in seconds since 1970."""
    return int(state.wall_clock() - state.now_s() + at_s)


def _list_files(state: State, request: web.Request, raw: bytes) -> object:
    return _page([_file(state, stored) for stored in state.batches.files.values()])


def _page(data: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a list that has no further page."""
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": False}


def _read_file(state: State, request: web.Request, raw: bytes) -> object:
    return _file(state, state.batches.file(request.match_info["id"]))


def _delete_file(state: State, request: web.Request, raw: bytes) -> object:
    identity = state.batches.file(request.match_info["id"]).identity
    del state.batches.files[identity]
    return {"id": identity, "object": "file", "deleted": True}


def _content(state: State, request: web.Request, raw: bytes) -> object:
    return Plain(state.batches.file(request.match_info["id"]).data, _LINES)


def _create(state: State, request: web.Request, raw: bytes) -> object:
    """Make a batch of an uploaded file; a line that cannot be read fails all of it."""
    body = read_json(raw)
    endpoint = body.get("endpoint")
    if endpoint not in _ENDPOINTS:
        raise invalid("endpoint", f"expected one of {', '.join(_ENDPOINTS)}, got {endpoint!r}")

    if body.get("completion_window") != "24h":
        raise invalid("completion_window", f"expected '24h', got {body.get('completion_window')!r}")

    stored = state.batches.file(read_text("input_file_id", body.get("input_file_id")))
    details = {
        "endpoint": endpoint,
        "input_file_id": stored.identity,
        "metadata": read_object("metadata", body.get("metadata")),
    }
    lines, errors = _lines(state, stored.data, endpoint)
    batch = new_batch(state, OPENAI_BATCHES, lines, {**details, "errors": errors})
    identity = f"batch_sandbox_{batch.number}"
    state.batches.batches[identity] = batch
    return _view(state, identity, batch)


def _lines(state: State, data: bytes, endpoint: str) -> tuple[list[Line], list[dict[str, Any]]]:
    """Return the lines of a file, or none and what is wrong with which line."""
    lines: list[Line] = []
    errors: list[dict[str, Any]] = []
    texts = [text for text in data.split(b"\n") if text.strip()]
    if not 1 <= len(texts) <= _MAX_LINES:
        said = f"expected 1 to {_MAX_LINES} lines, got {len(texts)}"
        return [], [{"code": "invalid_file", "message": said, "line": None, "param": None}]

    for number, text in enumerate(texts, start=1):
        try:
            lines.append(_line(state, text, endpoint))
        except RequestError as exc:
            found = exc.problem
            param = {"line": number, "param": found.param}
            errors.append(
                {"code": found.code or "invalid_json_line", "message": found.message, **param}
            )

    if (double := check_identities(lines)) is not None:
        said_double = f"The custom_id {double!r} is used twice."
        code = "duplicate_custom_id"
        errors.append({"code": code, "message": said_double, "line": None, "param": "custom_id"})

    return ([], errors) if errors else (lines, [])


def _line(state: State, text: bytes, endpoint: str) -> Line:
    item = read_json(text)
    identity = read_text("custom_id", item.get("custom_id"))
    if item.get("method") != "POST":
        raise invalid("method", f"expected 'POST', got {item.get('method')!r}", "invalid_method")

    if item.get("url") != endpoint:
        raise invalid("url", f"expected {endpoint!r}, got {item.get('url')!r}", "mismatched_url")

    body = read_object("body", item.get("body"), optional=False)
    return read_line(state, identity, _ENDPOINTS[endpoint], body)


def _list(state: State, request: web.Request, raw: bytes) -> object:
    mine = [
        (identity, batch)
        for identity, batch in state.batches.batches.items()
        if batch.wire == OPENAI_BATCHES
    ]
    return _page([_view(state, identity, batch) for identity, batch in reversed(mine)])


def _read(state: State, request: web.Request, raw: bytes) -> object:
    identity = request.match_info["id"]
    return _view(state, identity, state.batches.batch(identity, OPENAI_BATCHES))


def _cancel(state: State, request: web.Request, raw: bytes) -> object:
    """Cancel a batch that still runs; what is done by now keeps its results."""
    identity = request.match_info["id"]
    batch = state.batches.batch(identity, OPENAI_BATCHES)
    if batch.details["errors"] or batch.progress(state.now_s()).end is not None:
        raise RequestError(f"Cannot cancel the batch {identity!r}: it has ended.", kind="conflict")

    batch.canceled_s = state.now_s()
    return {**_view(state, identity, batch), "status": "cancelling", "cancelled_at": None}


def _view(state: State, identity: str, batch: Batch) -> dict[str, Any]:
    """Return a batch as it is now; when it has ended, its results are files."""
    progress = batch.progress(state.now_s())
    errors = batch.details["errors"]
    status = "failed" if errors else _ENDS[progress.end] if progress.end else "in_progress"
    ended = None if progress.ended_s is None else _unix(state, progress.ended_s)
    created = _unix(state, batch.created_s)
    output, failed = (
        (None, None) if progress.end is None else _write(state, identity, batch, progress)
    )
    counts = batch.counts(progress)
    return {
        "id": identity,
        "object": "batch",
        "endpoint": batch.details["endpoint"],
        "errors": {"object": "list", "data": errors} if errors else None,
        "input_file_id": batch.details["input_file_id"],
        "completion_window": "24h",
        "status": status,
        "output_file_id": output,
        "error_file_id": failed,
        "created_at": created,
        "in_progress_at": created,
        "expires_at": _unix(state, batch.created_s + batch.expire_s),
        "finalizing_at": ended if status == "completed" else None,
        "completed_at": ended if status == "completed" else None,
        "failed_at": created if status == "failed" else None,
        "expired_at": ended if status == "expired" else None,
        "cancelling_at": ended if status == "cancelled" else None,
        "cancelled_at": ended if status == "cancelled" else None,
        "request_counts": {
            "total": len(batch.lines),
            "completed": counts["succeeded"],
            "failed": counts["errored"] + counts["expired"],
        },
        "metadata": batch.details["metadata"] or None,
    }


def _write(
    state: State, identity: str, batch: Batch, progress: Progress
) -> tuple[str | None, str | None]:
    """Return the ids of the files of good and of bad lines; they are written once."""
    names = (f"file-{identity}-output", f"file-{identity}-errors")
    if batch.results is None:
        shown = [_result(state, batch, index, progress) for index in range(len(batch.lines))]
        batch.results = [data for found in shown for data in found]
        for name, data in zip(names, map(b"".join, zip(*shown, strict=True)), strict=False):
            if data:
                stored = StoredFile(name, f"{name}.jsonl", "batch_output", data, state.now_s())
                state.batches.files[name] = stored

    output, errors = (name if name in state.batches.files else None for name in names)
    return output, errors


def _result(state: State, batch: Batch, index: int, progress: Progress) -> tuple[bytes, bytes]:
    """Return what a line adds to the file of good lines, and to that of bad ones."""
    item: dict[str, Any] = {
        "id": f"batch_req_{batch.number}_{index}",
        "custom_id": batch.lines[index].identity,
        "response": None,
        "error": None,
    }
    match batch.outcome(index, progress):
        case "canceled" | "processing":
            return b"", b""
        case "expired":
            said = "This request could not be executed before the completion window expired."
            item["error"] = {"code": "batch_expired", "message": said}
            return b"", _line_of(item)
        case _:
            body, problem = answer_line(state, batch, index)

    status = 200 if problem is None else OPENAI_DIALECT.status(problem)
    answered: object = orjson.Fragment(body or b"{}")
    if problem is not None:
        answered = {"error": error_object(problem)}

    request_id = f"req_sandbox_{batch.number}_{index}"
    item["response"] = {"status_code": status, "request_id": request_id, "body": answered}
    return (_line_of(item), b"") if problem is None else (b"", _line_of(item))


def _line_of(item: dict[str, Any]) -> bytes:
    return orjson.dumps(item) + b"\n"


OPENAI_BATCH_ROUTES: Final = (
    ("POST", "/v1/files", _upload),
    ("GET", "/v1/files", _list_files),
    ("GET", "/v1/files/{id}", _read_file),
    ("DELETE", "/v1/files/{id}", _delete_file),
    ("GET", "/v1/files/{id}/content", _content),
    ("POST", "/v1/batches", _create),
    ("GET", "/v1/batches", _list),
    ("GET", "/v1/batches/{id}", _read),
    ("POST", "/v1/batches/{id}/cancel", _cancel),
)
"""Method, path and function of each route."""
