"""The neutral language of a model call: what is asked, what comes back, what an endpoint can do.

All of it is frozen data that survives JSON (`to_dict`, `from_dict`), so that a call can be cached,
journaled, replayed and sent to another process. Each provider's wire translates to and from it.

- `Request` says what is asked and nothing about how: no deadlines, no cache modes, no secrets. Its
  `digest()` is the key under which answers are cached and replayed. `sample` numbers independent
  samples of one prompt; it is part of the digest and not of the wire.
- `Response` is one answer with its usage, and the failed tries before it.
- Stream events: one `StreamStart`, then deltas, then one `StreamEnd` that holds the whole Response.
- `Compat` is what one endpoint takes and what it ignores.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, cast

import orjson

from dspex.errors import Attempt  # noqa: TC001 - pydantic reads the annotations
from dspex.usage import Usage

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = (
    "Choice",
    "Compat",
    "Content",
    "DroppedParam",
    "FinishReason",
    "ImagePart",
    "Message",
    "Part",
    "Request",
    "Response",
    "ResponseFormat",
    "Role",
    "Sampling",
    "StreamEnd",
    "StreamEvent",
    "StreamStart",
    "TextDelta",
    "TextPart",
    "ToolCall",
    "ToolCallDelta",
    "ToolSpec",
    "fill",
)

Role = Literal["system", "user", "assistant", "tool"]


class FinishReason(StrEnum):
    """Why the model stopped, the same words for every provider."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text inside a message that also holds other parts."""

    text: str
    type: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image by URL; a `data:` URL carries the bytes."""

    url: str
    detail: str | None = None
    type: Literal["image"] = "image"


Part = TextPart | ImagePart
Content = str | tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool; `arguments` is JSON text exactly as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool the model may call; `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """How the answer must be formed: any JSON object, or JSON of a schema."""

    type: Literal["json_object", "json_schema"]
    name: str = "response"
    schema: Mapping[str, Any] | None = None
    strict: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation."""

    role: Role
    content: Content
    _: KW_ONLY
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None

    @property
    def text(self) -> str:
        """The text of the turn, without its other parts."""
        if isinstance(self.content, str):
            return self.content

        return "".join(part.text for part in self.content if isinstance(part, TextPart))


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the model samples; what is None is not sent, so that the provider's default holds.

    `max_tokens` bounds the output; `n` asks for that many choices in one call; `seed` is a wish
    that not every provider grants.
    """

    _: KW_ONLY
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    n: int = 1
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    reasoning_effort: str | None = None

    def __post_init__(self) -> None:
        # 1 and 1.0 are one wish, and must be one in a digest and after a round trip through JSON.
        for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
            value = getattr(self, name)
            if type(value) is int:
                object.__setattr__(self, name, float(value))


_DEFAULT_SAMPLING = Sampling()


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model.

    `model` is the provider's own name for it; a client fills it in when it is empty.
    """

    messages: tuple[Message, ...]
    _: KW_ONLY
    model: str = ""
    sampling: Sampling = _DEFAULT_SAMPLING
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str | None = None
    response_format: ResponseFormat | None = None
    sample: int = 0

    def canonical(self) -> bytes:
        """Return the bytes that equal requests share, whatever the order of their schemas' keys.

        Text that UTF-8 cannot carry (lone surrogates) is written with its escapes.
        """
        try:
            # A plain conversation as an array costs a quarter of the whole request as an object;
            # the one begins with "[" and the other with "{", so that they never meet.
            plain = _plain_conversation(self)
            return (
                orjson.dumps(self, _plain, orjson.OPT_SORT_KEYS)
                if plain is None
                else orjson.dumps(plain)
            )
        except orjson.JSONEncodeError:
            whole = json.dumps(asdict(self), default=_plain, sort_keys=True, ensure_ascii=True)
            return whole.encode()

    def digest(self) -> str:
        """Return the SHA-256 of the canonical form, in hexadecimal: about 3 us for 1 KB."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return _to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Request:
        """Rebuild from `to_dict`; raises ValueError, which names the field, on anything else."""
        return _request_adapter().validate_python(data)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers to a request; nearly always the only one."""

    text: str
    _: KW_ONLY
    finish_reason: FinishReason = FinishReason.STOP
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class DroppedParam:
    """A parameter the endpoint does not take: what was asked, what was sent instead, and why."""

    name: str
    asked: Any
    applied: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a Request.

    `latency_s` is the time of the whole call as the caller saw it; `attempts` are the tries that
    failed before this answer; `cached` says that no provider was asked.
    """

    choices: tuple[Choice, ...]
    _: KW_ONLY
    model: str = ""
    endpoint: str = ""
    usage: Usage = Usage()
    request_id: str | None = None
    latency_s: float = 0.0
    cached: bool = False
    attempts: tuple[Attempt, ...] = ()
    dropped: tuple[DroppedParam, ...] = ()

    @property
    def text(self) -> str:
        """The text of the first choice."""
        return self.choices[0].text

    @property
    def finish_reason(self) -> FinishReason:
        """Why the first choice stopped."""
        return self.choices[0].finish_reason

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return _to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Response:
        """Rebuild from `to_dict`; raises ValueError, which names the field, on anything else."""
        return _response_adapter().validate_python(data)


def fill(response: Response, **values: Any) -> Response:
    """Set fields of a response that its maker has not handed on yet, and return it.

    Each step of a call learns something about the answer; a copy for each would cost ten times as
    much. Whoever did not make the response, or has shown it to others, must use
    `dataclasses.replace`.
    """
    for name, value in values.items():
        object.__setattr__(response, name, value)

    return response


@dataclass(frozen=True, slots=True)
class StreamStart:
    """The provider has begun to answer."""

    model: str = ""
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of one choice; `reasoning` marks thinking that is not part of the answer."""

    text: str
    _: KW_ONLY
    choice: int = 0
    reasoning: bool = False


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of one tool call; `id` and `name` come once, `arguments` piece by piece."""

    index: int
    _: KW_ONLY
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    choice: int = 0


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The answer is complete: the same Response a call without streaming gives."""

    response: Response


StreamEvent = StreamStart | TextDelta | ToolCallDelta | StreamEnd


@dataclass(frozen=True, slots=True)
class Compat:
    """What one endpoint takes, so that a wire asks the record and never for a provider's name.

    A parameter the endpoint does not take is left out and recorded on the response.
    `structured_output` is the best form of JSON it honours; `context_tokens` bounds prompt and
    answer together where known.
    """

    _: KW_ONLY
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    system_role: Literal["system", "developer"] = "system"
    structured_output: Literal["json_schema", "json_object", "none"] = "json_schema"
    streaming: bool = True
    stream_usage: bool = True
    tools: bool = True
    tool_choice: bool = True
    images: Literal["url", "data", "none"] = "url"
    n: bool = True
    seed: bool = True
    stop: bool = True
    penalties: bool = True
    reasoning_effort: bool = True
    reasoning_field: str | None = None
    context_tokens: int | None = None


def _plain_conversation(request: Request) -> list[object] | None:
    """Return all there is to a request that is text alone; None for any other."""
    if request.tools or request.tool_choice or request.response_format:
        return None

    parts: list[object] = [request.model, request.sample]
    for message in request.messages:
        if type(message.content) is not str or message.tool_calls:
            return None

        if message.tool_call_id is not None:
            return None

        parts += (message.role, message.content, message.name)

    wish = request.sampling
    if wish is not _DEFAULT_SAMPLING and wish != _DEFAULT_SAMPLING:
        parts += (wish.temperature, wish.top_p, wish.max_tokens, wish.stop, wish.seed, wish.n)
        parts += (wish.presence_penalty, wish.frequency_penalty, wish.reasoning_effort)

    return parts


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)

    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))

    raise TypeError(f"{type(value).__name__} is not JSON: {value!r}")


def _to_dict(value: Request | Response) -> dict[str, Any]:
    try:
        data: dict[str, Any] = orjson.loads(orjson.dumps(value, _plain))
    except orjson.JSONEncodeError:
        data = json.loads(json.dumps(asdict(value), default=_plain))

    return data


# Built on first use: pydantic is the slowest import here, and a client that neither caches on disk
# nor journals never needs it.
@cache
def _request_adapter() -> TypeAdapter[Request]:
    from pydantic import TypeAdapter

    return TypeAdapter(Request)


@cache
def _response_adapter() -> TypeAdapter[Response]:
    from pydantic import TypeAdapter

    return TypeAdapter(Response)
