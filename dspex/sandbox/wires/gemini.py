"""Gemini's generateContent and streamGenerateContent, server's side: answers, streams, errors.

Source: the Gemini API reference, and what its SDK reads. Tool calls have no finish reason of their
own; thoughts count beside the candidates' tokens; when to come back after a 429 is in the body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from dspex.sandbox.exchange import STATUSES, Event, Problem, count_tokens, cut_pieces
from dspex.sandbox.logprobs import token_logprobs
from dspex.sandbox.signing import sign
from dspex.sandbox.wires.dialect import ChatWire, Dialect, data_event
from dspex.sandbox.wires.gemini_request import read_gemini

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dspex.sandbox.exchange import Call, Choice, ProblemKind, Reply
    from dspex.sandbox.wires.dialect import Allowance

__all__ = ("GEMINI", "GEMINI_DIALECT")

_FINISH: Final = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
}
_STATUS: Final[Mapping[ProblemKind, str]] = {
    "unauthorized": "UNAUTHENTICATED",
    "forbidden": "PERMISSION_DENIED",
    "not_found": "NOT_FOUND",
    "request_timeout": "DEADLINE_EXCEEDED",
    "conflict": "ABORTED",
    "too_large": "INVALID_ARGUMENT",
    "rate_limited": "RESOURCE_EXHAUSTED",
    "quota_exhausted": "RESOURCE_EXHAUSTED",
    "server_error": "INTERNAL",
    "bad_gateway": "INTERNAL",
    "unavailable": "UNAVAILABLE",
    "gateway_timeout": "DEADLINE_EXCEEDED",
    "overloaded": "UNAVAILABLE",
}
_LONGER: Final = (
    "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576)."
)
_RPC: Final = "type.googleapis.com/google.rpc."
_DAILY_WAIT_S: Final = 19.0

_Part = dict[str, Any]


def _body(reply: Reply) -> bytes:
    """Return a whole answer."""
    if reply.problem is not None:
        return _error(reply.problem, 0.0)

    candidates = [
        _candidate(reply, index, choice, _parts(choice))
        for index, choice in enumerate(reply.choices)
    ]
    return orjson.dumps(_response(reply, candidates))


def _events(reply: Reply) -> Iterator[Event]:
    """Yield responses with one more part each; the last of a candidate says why it ended."""
    if reply.problem is not None:
        yield Event(_error_event(reply.problem))
        return

    for index, choice in enumerate(reply.choices):
        pieces = list(_streamed(reply, choice))
        for place, (part, tokens) in enumerate(pieces):
            last = place == len(pieces) - 1
            candidate = _candidate(reply, index, choice, [part], ended=last)
            yield data_event(_response(reply, [candidate]), tokens)


def _response(reply: Reply, candidates: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "candidates": candidates,
        "usageMetadata": _usage(reply),
        "modelVersion": reply.ask.model,
        "responseId": f"sandbox-{reply.number}",
    }


def _candidate(
    reply: Reply, index: int, choice: Choice, parts: list[_Part], *, ended: bool = True
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": index}
    if ended:
        candidate["finishReason"] = _FINISH[choice.finish]

    if reply.ask.logprobs is not None:
        text = "".join(part["text"] for part in parts if "text" in part and "thought" not in part)
        candidate |= _logprobs(text, reply.ask.logprobs)

    return candidate


def _parts(choice: Choice) -> list[_Part]:
    """Return the parts of a whole answer: thoughts, text, calls, each if there is any."""
    parts: list[_Part] = []
    if choice.reasoning:
        parts.append({"text": choice.reasoning, "thought": True})

    if choice.text or not choice.calls:
        parts.append({"text": choice.text})

    return [*parts, *(_call(choice, call) for call in choice.calls)]


def _streamed(reply: Reply, choice: Choice) -> Iterator[tuple[_Part, int]]:
    """Yield the parts of a stream and their tokens; a call comes in one part."""
    for piece in cut_pieces(choice.reasoning, reply.piece_chars):
        yield {"text": piece, "thought": True}, count_tokens(piece)

    for piece in cut_pieces(choice.text, reply.piece_chars):
        yield {"text": piece}, count_tokens(piece)

    if not choice.text and not choice.calls:
        yield {"text": ""}, 0

    for call in choice.calls:
        yield _call(choice, call), count_tokens(call.name) + count_tokens(call.json)


def _call(choice: Choice, call: Call) -> _Part:
    """Return a call; where thoughts led to it, it carries their signature."""
    called = {"id": call.identity, "name": call.name, "args": dict(call.arguments)}
    signature = {"thoughtSignature": sign(choice.reasoning)} if choice.reasoning else {}
    return {"functionCall": called, **signature}


def _logprobs(text: str, alternatives: int) -> dict[str, Any]:
    """Return synthetic log probabilities of a text's tokens."""
    shown = list(token_logprobs(text, alternatives))
    chosen = [_token(tokens[0]) for tokens in shown]
    top = [{"candidates": [_token(token) for token in tokens[:alternatives]]} for tokens in shown]
    total = sum(tokens[0][1] for tokens in shown)
    return {
        "avgLogprobs": total / len(shown) if shown else 0.0,
        "logprobsResult": {"chosenCandidates": chosen, "topCandidates": top},
    }


def _token(shown: tuple[str, float]) -> dict[str, Any]:
    return {"token": shown[0], "tokenId": sum(shown[0].encode()), "logProbability": shown[1]}


def _usage(reply: Reply) -> dict[str, int]:
    """Return the usage; the candidates' tokens leave the thoughts out."""
    usage = reply.usage
    shown = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "totalTokenCount": usage.total_tokens,
    }
    if usage.reasoning_tokens:
        shown["thoughtsTokenCount"] = usage.reasoning_tokens

    if usage.cached_tokens:
        shown["cachedContentTokenCount"] = usage.cached_tokens

    return shown


def _error(problem: Problem, wait_s: float) -> bytes:
    """Return an error body; one about limits carries QuotaFailure, and RetryInfo for a wait."""
    longer = problem.kind == "context_window" and not problem.said
    error: dict[str, Any] = {
        "code": STATUSES[problem.kind],
        "message": _LONGER if longer else problem.message,
        "status": _STATUS.get(problem.kind, "INVALID_ARGUMENT"),
    }
    details: list[dict[str, Any]] = []
    if problem.kind == "quota_exhausted":
        details = [_quota("PerDay"), _retry_info(wait_s or _DAILY_WAIT_S)]
    elif problem.kind == "rate_limited":
        details = [_quota("PerMinute"), *([_retry_info(wait_s)] if wait_s else [])]

    if details:
        error["details"] = details

    return orjson.dumps({"error": error})


def _quota(window: str) -> dict[str, Any]:
    violation = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
        "quotaId": f"GenerateRequests{window}PerProjectPerModel",
        "quotaDimensions": {"location": "global"},
        "quotaValue": "1",
    }
    return {"@type": f"{_RPC}QuotaFailure", "violations": [violation]}


def _retry_info(wait_s: float) -> dict[str, Any]:
    return {"@type": f"{_RPC}RetryInfo", "retryDelay": f"{wait_s:g}s"}


def _error_event(problem: Problem) -> bytes:
    """Return an error inside a stream: a JSON object that is no event, as the provider sends it."""
    return _error(problem, 0.0) + b"\n\n"


def _key(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    return headers.get("x-goog-api-key") or query.get("key")


def _no_limit_headers(left: Allowance) -> dict[str, str]:
    """Return nothing: the provider does not tell."""
    return {}


GEMINI_DIALECT: Final = Dialect(
    name="gemini",
    error=_error,
    error_event=_error_event,
    key=_key,
    retry=("body",),
    reset_header="x-ratelimit-reset",
    limit_headers=_no_limit_headers,
    request_id="x-goog-request-id",
)
"""Gemini's dialect."""

GEMINI: Final = ChatWire(
    name="gemini", dialect=GEMINI_DIALECT, read=read_gemini, body=_body, events=_events
)
"""Generate content, whole or streamed."""
