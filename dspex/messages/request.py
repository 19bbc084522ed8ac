"""What is asked: a Request of messages, sampling, tools and the form of the answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import orjson

from dspex.messages.coding import plain, to_dict
from dspex.messages.parts import Content, ReasoningPart, TextPart

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = (
    "Message",
    "Request",
    "ResponseFormat",
    "Role",
    "Sampling",
    "ToolCall",
    "ToolSpec",
)

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool; `arguments` is JSON text exactly as the model wrote it.

    `signature` is the provider's proof of the thinking behind the call, to be sent back unchanged.
    """

    id: str
    name: str
    arguments: str
    _: KW_ONLY
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool the model may call; `parameters` is a JSON schema of an object.

    `strict` asks the provider to hold the model's arguments to the schema; None leaves it to the
    provider.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    _: KW_ONLY
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """How the answer must be formed: any JSON object, or JSON of a schema."""

    type: Literal["json_object", "json_schema"]
    name: str = "response"
    schema: Mapping[str, Any] | None = None
    strict: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation.

    A "tool" turn answers the call `tool_call_id`, `is_error` if with an error. An "assistant" turn
    may hold tool calls, and its thinking, which some providers must be shown again.
    """

    role: Role
    content: Content
    _: KW_ONLY
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    is_error: bool = False
    reasoning: tuple[ReasoningPart, ...] = ()

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
    that not every provider grants. `reasoning_effort` is "none", "minimal", "low", "medium",
    "high", "xhigh" or "max"; `reasoning_tokens` bounds the thinking where a provider counts it.
    `logprobs` asks for each token's log-probability, `top_logprobs` also for so many likely others.
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
    reasoning_tokens: int | None = None
    top_k: int | None = None
    logprobs: bool = False
    top_logprobs: int | None = None

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

    `model` is the provider's own name for it; a client fills it in when it is empty. `tool_choice`
    is "auto", "none", "required" or the name of one tool. `extra` holds fields of the provider's
    own, which go into the body as they are and win over what the wire would write.
    """

    messages: tuple[Message, ...]
    _: KW_ONLY
    model: str = ""
    sampling: Sampling = _DEFAULT_SAMPLING
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    extra: Mapping[str, Any] | None = None
    sample: int = 0

    def canonical(self) -> bytes:
        """Return the bytes that equal requests share, whatever the order of their schemas' keys.

        Text that UTF-8 cannot carry (lone surrogates) is written with its escapes.
        """
        try:
            # A plain conversation as an array costs a quarter of the whole request as an object;
            # the one begins with "[" and the other with "{", so that they never meet.
            conversation = _plain_conversation(self)
            return (
                orjson.dumps(self, plain, orjson.OPT_SORT_KEYS)
                if conversation is None
                else orjson.dumps(conversation)
            )
        except orjson.JSONEncodeError:
            whole = json.dumps(asdict(self), default=plain, sort_keys=True, ensure_ascii=True)
            return whole.encode()

    def digest(self) -> str:
        """Return the SHA-256 of the canonical form, in hexadecimal: about 3 us for 1 KB."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Request:
        """Rebuild from `to_dict`; raises ValueError, which names the field, on anything else."""
        return _adapter().validate_python(data)


def _plain_conversation(request: Request) -> list[object] | None:
    """Return all there is to a request that is text alone; None for any other."""
    if request.tools or request.tool_choice or request.response_format or request.extra:
        return None

    if request.parallel_tool_calls is not None:
        return None

    parts: list[object] = [request.model, request.sample]
    for message in request.messages:
        if type(message.content) is not str or message.tool_calls:
            return None

        if message.tool_call_id is not None or message.reasoning or message.is_error:
            return None

        parts += (message.role, message.content, message.name)

    wish = request.sampling
    if wish is not _DEFAULT_SAMPLING and wish != _DEFAULT_SAMPLING:
        parts += (wish.temperature, wish.top_p, wish.max_tokens, wish.stop, wish.seed, wish.n)
        parts += (wish.presence_penalty, wish.frequency_penalty, wish.reasoning_effort)
        parts += (wish.reasoning_tokens, wish.top_k, wish.logprobs, wish.top_logprobs)

    return parts


# Built on first use: pydantic is the slowest import here, and a client that neither caches on disk
# nor journals never needs it.
@cache
def _adapter() -> TypeAdapter[Request]:
    from pydantic import TypeAdapter

    return TypeAdapter(Request)
