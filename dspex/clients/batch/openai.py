"""OpenAI's batches: a file of requests goes up, a batch is made of it, files of results come down.

Source: the Files and Batch sections of the OpenAI API reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from dspex.clients.batch.line import BatchStatus, LineResult, Outgoing
from dspex.clients.batch.multipart import multipart
from dspex.clients.failures.classify import classify_response
from dspex.clients.loose import is_object, list_of, object_of
from dspex.clients.wire.reading import load_json_object, protocol_error
from dspex.errors import ErrorData, ErrorKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex.clients.batch.line import BatchLine

__all__ = ("OpenAIBatches",)

_NAME: Final = "dspex"
_ENDED: Final = frozenset({"cancelled", "completed", "expired", "failed"})
_CODES: Final = {"batch_cancelled": "cancelled", "batch_expired": "expired"}
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class OpenAIBatches:
    """`POST /files`, then `/batches`; all lines of a batch are for one path and one model."""

    def upload(self, lines: Sequence[BatchLine]) -> Outgoing:
        """Return the file of requests as a form."""
        content = b"".join(_line(line) for line in lines)
        body, content_type = multipart({"purpose": "batch"}, "file", "batch.jsonl", content)
        return Outgoing("/files", body, content_type)

    def create(self, lines: Sequence[BatchLine], uploaded: bytes, nonce: str) -> Outgoing:
        """Return what makes the batch of the file."""
        body = {
            "input_file_id": _text(load_json_object(uploaded), "id", uploaded),
            "endpoint": f"/v1{lines[0].path}",
            "completion_window": "24h",
            "metadata": {_NAME: nonce},
        }
        return Outgoing("/batches", orjson.dumps(body))

    def created(self, reply: bytes) -> str:
        """Return its id."""
        return _text(load_json_object(reply), "id", reply)

    def search(self) -> str:
        """Return the path of the latest batches."""
        return "/batches?limit=100"

    def found(self, reply: bytes, nonce: str) -> str | None:
        """Return the id of the batch that carries the nonce."""
        for batch in map(object_of, list_of(load_json_object(reply).get("data"))):
            if object_of(batch.get("metadata")).get(_NAME) == nonce:
                return _text(batch, "id", reply)

        return None

    def status_path(self, batch: str) -> str:
        """Return the batch's own path."""
        return f"/batches/{batch}"

    def status(self, reply: bytes) -> BatchStatus:
        """Return how it is doing; a word that is not known is taken for one of running."""
        batch = load_json_object(reply)
        state = _text(batch, "status", reply)
        if state not in _ENDED:
            return BatchStatus(ended=False)

        files = (batch.get("output_file_id"), batch.get("error_file_id"))
        return BatchStatus(
            ended=True,
            code=state,
            message=_problem(batch.get("errors")),
            results=tuple(f"/files/{file}/content" for file in files if file),
        )

    def cancel_path(self, batch: str) -> str:
        """Return the path that cancels."""
        return f"/batches/{batch}/cancel"

    def result(self, line: bytes, provider: str) -> LineResult:
        """Return the body of the response, or how it failed."""
        item = load_json_object(line)
        identity = _text(item, "custom_id", line)
        response = item.get("response")
        if not is_object(response):
            return LineResult(identity, _unsent(item.get("error"), provider))

        status, body = response.get("status_code"), orjson.dumps(response.get("body"))
        if status == _OK:
            return LineResult(identity, body)

        if not isinstance(status, int):
            raise protocol_error("a result has no status_code", line)

        return LineResult(
            identity, classify_response(status, {}, body, provider=provider, model="")
        )


def _line(line: BatchLine) -> bytes:
    head = {"custom_id": line.id, "method": "POST", "url": f"/v1{line.path}"}
    return orjson.dumps({**head, "body": orjson.Fragment(line.body)}) + b"\n"


def _text(data: Mapping[str, Any], name: str, seen: bytes) -> str:
    value = data.get(name)
    if isinstance(value, str) and value:
        return value

    raise protocol_error(f"the batch interface's answer has no {name}", seen)


def _problem(errors: Any) -> str:
    found = [object_of(error) for error in list_of(object_of(errors).get("data"))]
    return str(found[0].get("message") or "") if found else ""


def _unsent(error: Any, provider: str) -> ErrorData:
    told = object_of(error)
    code = str(told.get("code") or "failed")
    return ErrorData(
        ErrorKind.BATCH,
        str(told.get("message") or "the batch did not answer it"),
        provider=provider,
        code=_CODES.get(code, code),
        stage="batch",
    )
