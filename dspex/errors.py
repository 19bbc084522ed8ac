"""The exceptions of dspex.

    DspexError
    ├── ConfigError              a setting is wrong: names file, key and value
    ├── RuntimeNotFound          no runtime is open here, or several and none was chosen
    ├── SignatureError           a signature cannot be what it says
    ├── InputError               inputs of a program: missing, unknown, positional, mistyped
    ├── InputQuarantined         an input that kept failing is refused for a while
    ├── ParseError               a model's text does not hold the fields it should
    ├── AnswerRejected           every answer of a self-correcting program was found wrong
    ├── LoadError                a saved file is not ours, broken, newer, or of another shape
    ├── DatasetError             an example or a dataset cannot be used as asked
    ├── EvaluationError          an evaluation was asked for something impossible, or told to stop
    ├── OptimizerError           an optimizer was asked for something impossible
    ├── SandboxError             the offline sandbox cannot start or was scripted wrongly
    ├── ToolError                a tool is defined wrongly, or did not give what it was called for
    ├── InterpreterError         no interpreter for a model's code, or it cannot be used
    ├── UnsupportedFeature       an endpoint has no such thing, or cannot carry it; nothing was sent
    └── ProviderError            one model call failed; `data` says how, as plain data
        ├── RateLimited          429 that passes; `retry_after_s` says when
        ├── QuotaExhausted       429 that does not pass by waiting
        ├── ServerError          5xx, 408, 409, 529: the provider's own trouble
        ├── TransportError       no connection, or it broke before the answer
        ├── ProviderTimeout      connect, first byte, silence or the whole attempt took too long
        ├── AuthError            401, 403
        ├── InvalidRequest       the request is wrong and stays wrong
        ├── ContextWindowExceeded
        ├── RequestTooLarge      413
        ├── ContentFiltered      refused by the provider's filter
        ├── ProtocolError        the answer broke the wire's rules
        ├── CircuitOpen          not sent: the breaker of this endpoint and model is open
        ├── EndpointUnavailable  not sent: the endpoint's process is restarting or gone
        ├── DeadlineExceeded     the call's own deadline passed; `stage` says where it waited
        ├── PoolExhausted        not sent: no connection became free in time
        ├── BudgetExceeded       not sent: the purse is empty
        └── BatchFailed          its batch expired, was cancelled, or failed as a whole

A `ProviderError` is built from an `ErrorData`, which survives JSON: `to_exception(data)` gives the
same error back. `error.unavailable` tells an outage from a wrong answer: whoever scores programs
must not count the former as the latter.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields, replace
from enum import StrEnum
from functools import partial
from typing import Any, ClassVar

from dspex.usage import Usage

__all__ = (
    "AnswerRejected",
    "Attempt",
    "AuthError",
    "BatchFailed",
    "BudgetExceeded",
    "CircuitOpen",
    "ConfigError",
    "ContentFiltered",
    "ContextWindowExceeded",
    "DatasetError",
    "DeadlineExceeded",
    "DspexError",
    "EndpointUnavailable",
    "ErrorData",
    "ErrorKind",
    "EvaluationError",
    "InputError",
    "InputQuarantined",
    "InterpreterError",
    "InvalidRequest",
    "LoadError",
    "OptimizerError",
    "ParseError",
    "PoolExhausted",
    "ProtocolError",
    "ProviderError",
    "ProviderTimeout",
    "QuotaExhausted",
    "RateLimited",
    "RequestTooLarge",
    "RuntimeNotFound",
    "SandboxError",
    "ServerError",
    "SignatureError",
    "ToolError",
    "TransportError",
    "UnsupportedFeature",
    "to_exception",
)


class DspexError(Exception):
    """Base of everything dspex raises on purpose."""


class ConfigError(DspexError):
    """Raised when a setting is wrong.

    Args:
        source: where the value came from: a file's path, an environment variable, "code".
        key: the dotted name of the setting.
        value: what was found there; pass None for a secret.
        problem: what is wrong with it and what to do.
    """

    def __init__(self, problem: str, *, source: str, key: str, value: object = None) -> None:
        self.source = source
        self.key = key
        self.value = value
        self.problem = problem
        shown = "" if value is None else f" = {value!r}"
        super().__init__(f"{source}: {key}{shown}: {problem}")

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception's own way builds it from `args` alone, which hold the message.
        rebuild = partial(
            type(self), self.problem, source=self.source, key=self.key, value=self.value
        )
        return rebuild, ()


class RuntimeNotFound(DspexError):
    """Raised when a program without a client finds no runtime, or more than one, on this loop."""


class SignatureError(DspexError):
    """Raised when a signature is defined wrongly; the message points at the place."""


class InputError(DspexError):
    """Raised when a program is called with inputs its signature does not take."""


class LoadError(DspexError):
    """Raised when a saved program cannot be loaded; nothing has been changed."""


class DatasetError(DspexError):
    """Raised when an example or a dataset cannot be used; names the example."""


class EvaluationError(DspexError):
    """Raised when an evaluation cannot be run as asked."""


class OptimizerError(DspexError):
    """Raised when an optimizer cannot be run as asked."""


class SandboxError(DspexError):
    """Raised when the offline sandbox cannot start, died, or was scripted wrongly."""


class UnsupportedFeature(DspexError):
    """Raised when an endpoint cannot do at all what is asked of it; nothing was sent."""


class ToolError(DspexError):
    """Raised when a tool is defined wrongly, or when a call of it gives no result.

    Args:
        problem: what is wrong, in words that may be shown to a model.
        tool: its name.
        reason: "definition"; or of a call: "arguments", "unknown", "timeout", "crash", "refused".
    """

    def __init__(self, problem: str, *, tool: str = "", reason: str = "crash") -> None:
        self.problem = problem
        self.tool = tool
        self.reason = reason
        super().__init__(f"tool {tool!r}: {problem}" if tool else problem)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), self.problem, tool=self.tool, reason=self.reason), ()


class InterpreterError(DspexError):
    """Raised when a model's code cannot be run at all; what the code itself raises is no error."""


class ParseError(DspexError):
    """Raised when a model's text does not hold the output fields of a signature.

    Args:
        problem: what is wrong, in words that may be shown to the model.
        signature: the signature's fields, as "question -> answer".
        text: the raw text, whole.
        parsed: the fields that could be read.
        missing: the names of the fields that could not.
    """

    def __init__(
        self,
        problem: str,
        *,
        signature: str,
        text: str,
        parsed: dict[str, Any] | None = None,
        missing: tuple[str, ...] = (),
    ) -> None:
        self.problem = problem
        self.signature = signature
        self.text = text
        self.parsed = dict(parsed or {})
        self.missing = missing
        shown = text if len(text) <= 500 else f"{text[:500]}... ({len(text)} characters)"
        super().__init__(f"{problem} (signature {signature}; the model's text was {shown!r})")

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild = partial(
            type(self),
            self.problem,
            signature=self.signature,
            text=self.text,
            parsed=self.parsed,
            missing=self.missing,
        )
        return rebuild, ()


class AnswerRejected(DspexError):
    """Raised when a self-correcting program found every one of its answers wrong.

    Args:
        problem: what is wrong, with the last answer and its reason.
        rejected: each answer with the reason against it, oldest first.
    """

    def __init__(self, problem: str, rejected: tuple[tuple[Any, str], ...] = ()) -> None:
        self.problem = problem
        self.rejected = rejected
        super().__init__(problem)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problem, self.rejected)


class InputQuarantined(DspexError):
    """Raised when an input that kept failing is called again before its quarantine has ended.

    Args:
        problem: what is wrong, with the input and the time left.
        retry_after_s: seconds until it is tried again.
        failures: the errors that brought it here, as text, oldest first.
    """

    def __init__(
        self, problem: str, *, retry_after_s: float = 0.0, failures: tuple[str, ...] = ()
    ) -> None:
        self.problem = problem
        self.retry_after_s = retry_after_s
        self.failures = failures
        super().__init__(problem)

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild = partial(
            type(self), self.problem, retry_after_s=self.retry_after_s, failures=self.failures
        )
        return rebuild, ()


class ErrorKind(StrEnum):
    """What went wrong with a model call, as one word that decides what is done about it."""

    RATE_LIMIT = "rate_limit"
    QUOTA_EXHAUSTED = "quota_exhausted"
    SERVER = "server"
    TRANSPORT = "transport"
    TIMEOUT = "timeout"
    AUTH = "auth"
    INVALID_REQUEST = "invalid_request"
    CONTEXT_WINDOW = "context_window"
    TOO_LARGE = "too_large"
    CONTENT_FILTER = "content_filter"
    PROTOCOL = "protocol"
    CIRCUIT_OPEN = "circuit_open"
    ENDPOINT = "endpoint"
    DEADLINE = "deadline"
    POOL = "pool"
    BUDGET = "budget"
    BATCH = "batch"


_NOT_FOUND = 404

# The request itself was at fault: asking again, or asking elsewhere, gives the same answer.
_AT_FAULT = frozenset(
    {
        ErrorKind.INVALID_REQUEST,
        ErrorKind.CONTEXT_WINDOW,
        ErrorKind.TOO_LARGE,
        ErrorKind.CONTENT_FILTER,
    }
)


@dataclass(frozen=True, slots=True)
class ErrorData:
    """One failed call or attempt as plain data.

    `status` is the HTTP status where there was one; `code` the provider's own word; `stage` the
    step of the pipeline that failed ("connect", "first byte", "limiter", ...); `stale_socket` marks
    a pooled connection that the server had already closed, which says nothing about its health;
    `delivered` says that part of the answer had already been handed on, so that a retry would
    repeat it; `limit_per_min` is the limit of requests that a refusal named. `attempts` are the
    tries behind a call's final error, oldest first.
    """

    kind: ErrorKind
    message: str
    _: KW_ONLY
    provider: str = ""
    model: str = ""
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    retry_after_s: float | None = None
    should_retry: bool | None = None
    stage: str | None = None
    stale_socket: bool = False
    delivered: bool = False
    limit_per_min: float | None = None
    attempts: tuple[Attempt, ...] = ()

    @property
    def unavailable(self) -> bool:
        """True when the provider, the network or a limit failed, not the request.

        A model or a path that is not there is a wrong setting, whatever was asked of it.
        """
        return self.kind not in _AT_FAULT or self.status == _NOT_FOUND

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data without the fields that hold their default."""
        data: dict[str, Any] = {"kind": str(self.kind), "message": self.message}
        for name, default in _DATA_DEFAULTS.items():
            value = getattr(self, name)
            if value != default:
                data[name] = value

        if self.attempts:
            data["attempts"] = [attempt.to_dict() for attempt in self.attempts]

        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ErrorData:
        """Rebuild from `to_dict`; unknown keys are ignored."""
        known = {name: data[name] for name in _DATA_DEFAULTS if name in data}
        attempts = tuple(Attempt.from_dict(row) for row in data.get("attempts", ()))
        return cls(ErrorKind(data["kind"]), data["message"], attempts=attempts, **known)


_DATA_DEFAULTS: dict[str, Any] = {
    field.name: field.default
    for field in fields(ErrorData)
    if field.name not in ("kind", "message", "attempts")
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a call that did not give its answer: where, how long, why, and what it used."""

    endpoint: str
    error: ErrorData
    _: KW_ONLY
    latency_s: float = 0.0
    usage: Usage = Usage()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "endpoint": self.endpoint,
            "error": self.error.to_dict(),
            "latency_s": self.latency_s,
            "usage": self.usage.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Attempt:
        """Rebuild from `to_dict`."""
        return cls(
            data["endpoint"],
            ErrorData.from_dict(data["error"]),
            latency_s=data["latency_s"],
            usage=Usage.from_dict(data["usage"]),
        )


class ProviderError(DspexError):
    """Raised when a model call fails; every fact about it is in `data`."""

    kind: ClassVar[ErrorKind]

    def __init__(self, data: ErrorData) -> None:
        self.data = data
        super().__init__(_describe(data))

    @property
    def unavailable(self) -> bool:
        """True when the provider, the network or a limit failed, not the request."""
        return self.data.unavailable

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The tries that were made, oldest first."""
        return self.data.attempts

    def with_attempts(self, attempts: tuple[Attempt, ...]) -> ProviderError:
        """Return the same error with the tries behind it."""
        return to_exception(replace(self.data, attempts=attempts))

    def __reduce__(self) -> tuple[type[ProviderError], tuple[ErrorData]]:
        return type(self), (self.data,)


def _describe(data: ErrorData) -> str:
    where = "/".join(part for part in (data.provider, data.model) if part)
    facts = [
        f"{name} {value}"
        for name, value in (
            ("status", data.status),
            ("code", data.code),
            ("stage", data.stage),
            ("request id", data.request_id),
            ("retry after s", data.retry_after_s),
            ("attempts", len(data.attempts) or None),
        )
        if value is not None
    ]
    head = f"{where}: {data.message}" if where else data.message
    return f"{head} ({', '.join(facts)})" if facts else head


class RateLimited(ProviderError):
    """Raised when the provider says to slow down and waiting helps."""

    kind = ErrorKind.RATE_LIMIT


class QuotaExhausted(ProviderError):
    """Raised when a quota is used up and waiting within a call does not help."""

    kind = ErrorKind.QUOTA_EXHAUSTED


class ServerError(ProviderError):
    """Raised when the provider fails on its side."""

    kind = ErrorKind.SERVER


class TransportError(ProviderError):
    """Raised when there is no connection, or it broke."""

    kind = ErrorKind.TRANSPORT


class ProviderTimeout(ProviderError):
    """Raised when one attempt was too slow; `data.stage` says in which step."""

    kind = ErrorKind.TIMEOUT


class AuthError(ProviderError):
    """Raised when the key is missing, wrong, or not allowed to do this."""

    kind = ErrorKind.AUTH


class InvalidRequest(ProviderError):
    """Raised when the provider will never take this request."""

    kind = ErrorKind.INVALID_REQUEST


class ContextWindowExceeded(ProviderError):
    """Raised when the prompt does not fit the model."""

    kind = ErrorKind.CONTEXT_WINDOW


class RequestTooLarge(ProviderError):
    """Raised when the body is larger than the provider takes."""

    kind = ErrorKind.TOO_LARGE


class ContentFiltered(ProviderError):
    """Raised when the provider refuses the content."""

    kind = ErrorKind.CONTENT_FILTER


class ProtocolError(ProviderError):
    """Raised when an answer breaks the rules of its wire."""

    kind = ErrorKind.PROTOCOL


class CircuitOpen(ProviderError):
    """Raised without sending anything while a breaker is open; the last failure is its cause."""

    kind = ErrorKind.CIRCUIT_OPEN


class EndpointUnavailable(ProviderError):
    """Raised when the supervised endpoint is restarting or has given up."""

    kind = ErrorKind.ENDPOINT


class DeadlineExceeded(ProviderError):
    """Raised when the deadline of the whole call passes; `data.stage` says where it was spent."""

    kind = ErrorKind.DEADLINE


class PoolExhausted(ProviderError):
    """Raised when no connection became free in time, or the open-file limit leaves none."""

    kind = ErrorKind.POOL


class BudgetExceeded(ProviderError):
    """Raised before anything is sent when a budget would be overshot."""

    kind = ErrorKind.BUDGET


class BatchFailed(ProviderError):
    """Raised when a batch ends without this request's answer.

    `data.code` says how: "expired", "cancelled", "failed" or "no_result".
    """

    kind = ErrorKind.BATCH


_BY_KIND: dict[ErrorKind, type[ProviderError]] = {
    cls.kind: cls for cls in ProviderError.__subclasses__()
}


def to_exception(data: ErrorData) -> ProviderError:
    """Return the exception that `data` describes."""
    return _BY_KIND[data.kind](data)
