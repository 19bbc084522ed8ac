"""How OpenAI names errors, keys and limits, on chat, responses, embeddings and batches alike.

Source: the OpenAI API reference, and what its SDK reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from dspex.sandbox.reading import invalid, read_object, read_text
from dspex.sandbox.wires.dialect import Allowance, Dialect, read_bearer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.sandbox.exchange import Problem, ProblemKind

__all__ = ("CREATED", "OPENAI_DIALECT", "error_object", "read_choice", "read_format")

CREATED: Final = 1_700_000_000
"""The time at which every answer was made: a server without a past stays deterministic."""

_WORDS: Final[Mapping[ProblemKind, tuple[str, str | None]]] = {
    "invalid": ("invalid_request_error", None),
    "context_window": ("invalid_request_error", "context_length_exceeded"),
    "unauthorized": ("invalid_request_error", "invalid_api_key"),
    "forbidden": ("invalid_request_error", "unsupported_country_region_territory"),
    "not_found": ("invalid_request_error", "model_not_found"),
    "rate_limited": ("requests", "rate_limit_exceeded"),
    "quota_exhausted": ("insufficient_quota", "insufficient_quota"),
    "conflict": ("invalid_request_error", "conflict"),
    "too_large": ("invalid_request_error", "request_too_large"),
}
_LONGER: Final = (
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 8193 "
    "tokens. Please reduce the length of the messages."
)


def error_object(problem: Problem) -> dict[str, Any]:
    """Return the object under `error`, with all four members, as clients expect."""
    kind, code = _WORDS.get(problem.kind, ("server_error", None))
    longer = problem.kind == "context_window" and not problem.said
    return {
        "message": _LONGER if longer else problem.message,
        "type": kind,
        "param": "messages" if longer else problem.param,
        "code": problem.code or code,
    }


def read_format(place: str, wanted: Mapping[str, Any], *, flat: bool) -> Mapping[str, Any] | None:
    """Return the schema of a response format: None for text, {} for any JSON object.

    `flat`: whether the schema lies beside the type, as on responses, or under `json_schema`.
    """
    kind = wanted.get("type", "text")
    if kind == "text":
        return None

    if kind == "json_object":
        return {}

    if kind != "json_schema":
        raise invalid(f"{place}.type", f"expected text, json_object or json_schema, got {kind!r}")

    if not flat:
        place = f"{place}.json_schema"
        wanted = read_object(place, wanted.get("json_schema"), optional=False)

    return read_object(f"{place}.schema", wanted.get("schema"), optional=False)


def read_choice(
    value: object, names: tuple[str, ...], *, flat: bool
) -> tuple[bool, tuple[str, ...]]:
    """Return whether tools may be called, and of which one must be.

    `flat`: whether a named function lies beside the type or under `function`.
    """
    if value is None or value == "auto":
        return True, ()

    if value == "none":
        return False, ()

    if value == "required":
        return True, names

    choice = read_object("tool_choice", value)
    if choice.get("type") == "allowed_tools":
        must = choice.get("mode", choice.get("allowed_tools", {}).get("mode")) == "required"
        return True, names if must else ()

    named = choice if flat else read_object("tool_choice.function", choice.get("function"))
    name = read_text("tool_choice.function.name", named.get("name"))
    if name not in names:
        raise invalid("tool_choice", f"no tool is named {name!r}; the tools are {list(names)}")

    return True, (name,)


def _error(problem: Problem, wait_s: float) -> bytes:
    return orjson.dumps({"error": error_object(problem)})


def _error_event(problem: Problem) -> bytes:
    return b"data: " + _error(problem, 0.0) + b"\n\n"


def _limit_headers(left: Allowance) -> dict[str, str]:
    """Return `x-ratelimit-*`, its durations in OpenAI's notation."""
    headers: dict[str, str] = {}
    reset = f"{left.reset_s:.3f}s"
    for name, limit, rest in (
        ("requests", left.requests, left.requests_left),
        ("tokens", left.tokens, left.tokens_left),
    ):
        if limit is not None:
            headers[f"x-ratelimit-limit-{name}"] = str(limit)
            headers[f"x-ratelimit-remaining-{name}"] = str(rest)
            headers[f"x-ratelimit-reset-{name}"] = reset

    return headers


OPENAI_DIALECT: Final = Dialect(
    name="openai",
    error=_error,
    error_event=_error_event,
    key=read_bearer,
    retry=("seconds", "milliseconds"),
    reset_header="x-ratelimit-reset-requests",
    limit_headers=_limit_headers,
    request_id="x-request-id",
)
"""OpenAI's dialect."""
