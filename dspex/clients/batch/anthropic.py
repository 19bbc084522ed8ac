"""Anthropic's message batches: requests go up in one body, results come down line by line.

Source: the Message Batches section of the Anthropic API reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from dspex.clients.batch.line import BatchStatus, LineResult, Outgoing
from dspex.clients.failures.classify import classify_response
from dspex.clients.loose import object_of
from dspex.clients.wire.reading import load_json_object, protocol_error
from dspex.errors import ErrorData, ErrorKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex.clients.batch.line import BatchLine

__all__ = ("AnthropicBatches",)

_PATH: Final = "/messages/batches"
_CODES: Final = {"canceled": "cancelled", "expired": "expired"}

# The status that each kind of error has outside of batches.
_STATUS: Final = {
    "authentication_error": 401,
    "billing_error": 402,
    "invalid_request_error": 400,
    "not_found_error": 404,
    "overloaded_error": 529,
    "permission_error": 403,
    "rate_limit_error": 429,
    "request_too_large": 413,
    "timeout_error": 504,
}
_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class AnthropicBatches:
    """`POST /messages/batches`; nothing goes up before, and a batch has no name of ours."""

    def upload(self, lines: Sequence[BatchLine]) -> None:
        """Return nothing: the requests are in the body that makes the batch."""

    def create(self, lines: Sequence[BatchLine], uploaded: bytes, nonce: str) -> Outgoing:
        """Return the body with all requests."""
        requests = [{"custom_id": line.id, "params": orjson.Fragment(line.body)} for line in lines]
        return Outgoing(_PATH, orjson.dumps({"requests": requests}))

    def created(self, reply: bytes) -> str:
        """Return its id."""
        return _text(load_json_object(reply), "id", reply)

    def search(self) -> None:
        """Return nothing: no batch in the list says whose it is."""

    def found(self, reply: bytes, nonce: str) -> None:
        """Find nothing."""

    def status_path(self, batch: str) -> str:
        """Return the batch's own path."""
        return f"{_PATH}/{batch}"

    def status(self, reply: bytes) -> BatchStatus:
        """Return how it is doing; how it ended is said line by line."""
        batch = load_json_object(reply)
        if batch.get("processing_status") != "ended":
            return BatchStatus(ended=False)

        return BatchStatus(ended=True, results=(f"{_PATH}/{_text(batch, 'id', reply)}/results",))

    def cancel_path(self, batch: str) -> str:
        """Return the path that cancels."""
        return f"{_PATH}/{batch}/cancel"

    def result(self, line: bytes, provider: str) -> LineResult:
        """Return the message, or how it failed."""
        item = load_json_object(line)
        identity = _text(item, "custom_id", line)
        result = object_of(item.get("result"))
        match result.get("type"):
            case "succeeded":
                return LineResult(identity, orjson.dumps(result.get("message")))
            case "errored":
                return LineResult(identity, _errored(result.get("error"), provider))
            case "canceled" | "expired" as code:
                return LineResult(identity, _unsent(_CODES[code], provider))
            case other:
                raise protocol_error(f"a result has the unknown type {other!r}", line)


def _errored(error: Any, provider: str) -> ErrorData:
    told = object_of(error)
    inner = object_of(told.get("error")) or told
    status = _STATUS.get(str(inner.get("type")), _SERVER_ERROR)
    body = orjson.dumps({"type": "error", "error": inner})
    return classify_response(status, {}, body, provider=provider, model="")


def _unsent(code: str, provider: str) -> ErrorData:
    return ErrorData(
        ErrorKind.BATCH,
        f"its batch was {code} before it was answered",
        provider=provider,
        code=code,
        stage="batch",
    )


def _text(data: dict[str, Any], name: str, seen: bytes) -> str:
    value = data.get(name)
    if isinstance(value, str) and value:
        return value

    raise protocol_error(f"the batch interface's answer has no {name}", seen)
