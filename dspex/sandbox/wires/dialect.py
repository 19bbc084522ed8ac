"""What every provider's wire has in common: a dialect for errors, and chat to read and to write."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from typing import TYPE_CHECKING, Final, Literal

import orjson

from dspex.sandbox.exchange import STATUSES, Ask, Event, Problem, ProblemKind, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = (
    "RETRY_FORMS",
    "Allowance",
    "ChatWire",
    "Dialect",
    "RetryForm",
    "Target",
    "data_event",
    "named_event",
    "read_bearer",
    "retry_headers",
    "utc_text",
)

RetryForm = Literal["wire", "seconds", "date", "milliseconds", "reset", "body", "none"]

RETRY_FORMS: Final[tuple[RetryForm, ...]] = (
    "wire",
    "seconds",
    "date",
    "milliseconds",
    "reset",
    "body",
    "none",
)
"""How a 429 says when to come back; see `dspex.sandbox.options.RetryHint`."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a rate limit still admits, for the headers of a good answer.

    A limit of None does not exist. `reset_s`: seconds until the window ends; `now_s`: seconds since
    1970.
    """

    requests: int | None
    requests_left: int
    tokens: int | None
    tokens_left: int
    reset_s: float
    now_s: float


@dataclass(frozen=True, slots=True)
class Target:
    """What a request says outside its body: the model and the verb in its path, if they are there.

    `stream` is None where the body decides.
    """

    model: str = ""
    stream: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a provider speaks about everything but answers.

    `error` puts a problem and the seconds to wait (0: none are told) into a body; `key` finds the
    API key in headers and query; `retry` is the form that the provider itself uses on a 429.
    """

    name: str
    error: Callable[[Problem, float], bytes]
    error_event: Callable[[Problem], bytes]
    key: Callable[[Mapping[str, str], Mapping[str, str]], str | None]
    retry: tuple[RetryForm, ...]
    reset_header: str
    limit_headers: Callable[[Allowance], dict[str, str]]
    request_id: str
    needs: tuple[str, ...] = ()
    statuses: Mapping[ProblemKind, int] = field(default_factory=dict[ProblemKind, int])

    def status(self, problem: Problem) -> int:
        """Return the HTTP status of a problem."""
        return self.statuses.get(problem.kind, STATUSES[problem.kind])


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatWire:
    """A provider's chat: from a body to an `Ask`, from a `Reply` to a body or to events.

    `error_event` is given where errors inside this wire's streams are not its dialect's.
    """

    name: str
    dialect: Dialect
    read: Callable[[bytes, Target], Ask]
    body: Callable[[Reply], bytes]
    events: Callable[[Reply], Iterator[Event]]
    error_event: Callable[[Problem], bytes] | None = None


def data_event(data: object, tokens: int = 0) -> Event:
    """Return a server-sent event that has only data."""
    return Event(b"data: " + orjson.dumps(data) + b"\n\n", tokens)


def named_event(data: Mapping[str, object], tokens: int = 0) -> Event:
    """Return a server-sent event named after the data's own `type`."""
    name = str(data["type"]).encode()
    return Event(b"event: " + name + b"\ndata: " + orjson.dumps(data) + b"\n\n", tokens)


def read_bearer(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """Return the token of an Authorization header, or None."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def retry_headers(dialect: Dialect, form: RetryForm, wait_s: float, now_s: float) -> dict[str, str]:
    """Return the headers that ask to wait `wait_s` seconds, in the given form.

    Whole seconds are rounded up, so that whoever waits as told does not come too early.
    """
    headers: dict[str, str] = {}
    for one in dialect.retry if form == "wire" else (form,):
        match one:
            case "seconds":
                headers["Retry-After"] = str(math.ceil(wait_s))
            case "date":
                headers["Retry-After"] = formatdate(math.ceil(now_s + wait_s), usegmt=True)
            case "milliseconds":
                headers["retry-after-ms"] = str(math.ceil(wait_s * 1000))
            case "reset":
                headers[dialect.reset_header] = _reset(dialect, wait_s, now_s)
            case "wire" | "body" | "none":
                pass

    return headers


def utc_text(now_s: float) -> str:
    """Return a time in seconds since 1970 as RFC 3339 text in UTC."""
    return datetime.fromtimestamp(now_s, UTC).isoformat().replace("+00:00", "Z")


def _reset(dialect: Dialect, wait_s: float, now_s: float) -> str:
    """Return when the limit resets: a duration for OpenAI, a date for Anthropic, else unix time."""
    match dialect.name:
        case "openai":
            return f"{math.ceil(wait_s * 1000)}ms" if wait_s < 1 else f"{wait_s:.3f}s"
        case "anthropic":
            return utc_text(math.ceil(now_s + wait_s))
        case _:
            return str(math.ceil(now_s + wait_s))
