"""What every wire is translated to and from: a question, an answer, a problem.

Nothing here knows a provider. A token is four characters, everywhere.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = (
    "ATTACHMENT_TOKENS",
    "CHARS_PER_TOKEN",
    "STATUSES",
    "Ask",
    "Call",
    "Choice",
    "Event",
    "Finish",
    "Problem",
    "ProblemKind",
    "Reply",
    "RequestError",
    "Tool",
    "Usage",
    "count_tokens",
    "cut_pieces",
    "join_tokens",
)

ATTACHMENT_TOKENS: Final = 64
"""What an image, a sound or a file counts as: it is accepted and not looked at."""

CHARS_PER_TOKEN: Final = 4
"""How long a token is."""

ProblemKind = Literal[
    "invalid",
    "context_window",
    "unauthorized",
    "forbidden",
    "not_found",
    "request_timeout",
    "conflict",
    "too_large",
    "rate_limited",
    "quota_exhausted",
    "server_error",
    "bad_gateway",
    "unavailable",
    "gateway_timeout",
    "overloaded",
]

Finish = Literal["stop", "stop_sequence", "length", "tool_calls"]
"""Why an answer ended."""

STATUSES: Final[Mapping[ProblemKind, int]] = {
    "invalid": 400,
    "context_window": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "request_timeout": 408,
    "conflict": 409,
    "too_large": 413,
    "rate_limited": 429,
    "quota_exhausted": 429,
    "server_error": 500,
    "bad_gateway": 502,
    "unavailable": 503,
    "gateway_timeout": 504,
    "overloaded": 529,
}
"""The HTTP status of each problem, unless a provider has its own."""

_MESSAGES: Final[Mapping[ProblemKind, str]] = {
    "invalid": "The request is not valid.",
    "context_window": "The prompt is longer than the context window.",
    "unauthorized": "The API key is missing or wrong.",
    "forbidden": "The API key may not do this.",
    "not_found": "The requested resource does not exist.",
    "request_timeout": "The request took too long to arrive.",
    "conflict": "The resource is locked by another request.",
    "too_large": "The request is too large.",
    "rate_limited": "Rate limit reached.",
    "quota_exhausted": "You exceeded your current quota.",
    "server_error": "The server had an error.",
    "bad_gateway": "The upstream server sent no valid answer.",
    "unavailable": "The server is overloaded.",
    "gateway_timeout": "The upstream server did not answer in time.",
    "overloaded": "Overloaded",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request is not answered; a dialect puts it into its own words."""

    kind: ProblemKind
    said: str = ""
    _: KW_ONLY
    param: str | None = None
    code: str | None = None

    @property
    def message(self) -> str:
        """What was said about it, or the usual words."""
        return self.said or _MESSAGES[self.kind]


class RequestError(Exception):
    """A request that the wire does not allow; becomes an error body of that wire."""

    def __init__(
        self,
        message: str,
        *,
        kind: ProblemKind = "invalid",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        """Keep what the error body needs."""
        super().__init__(message)
        self.problem = Problem(kind, message, param=param, code=code)


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call; `parameters` is the JSON schema of its arguments."""

    name: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The part of a chat request that the sandbox honours, whatever wire it came on.

    `schema`: None for plain text, {} for any JSON object, else the JSON schema of the answer.
    `must_call`: tools of which one has to be called; empty when none has to. `tool_results`: how
    many results of calls the messages hold. `logprobs`: how many alternatives to show for each
    token, None when no probabilities are asked for.
    """

    model: str
    messages: Sequence[Mapping[str, str]]
    temperature: float = 1.0
    seed: int | None = None
    choices: int = 1
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool = True
    schema: Mapping[str, Any] | None = None
    tools: tuple[Tool, ...] = ()
    must_call: tuple[str, ...] = ()
    tool_results: int = 0
    logprobs: int | None = None
    thinks: bool = False
    attachments: int = 0

    @property
    def input_tokens(self) -> int:
        """The tokens of all messages and attachments."""
        chars = sum(len(message["content"]) for message in self.messages)
        return join_tokens(chars) + ATTACHMENT_TOKENS * self.attachments


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool."""

    identity: str
    name: str
    arguments: Mapping[str, Any]

    @property
    def json(self) -> str:
        """The arguments as JSON text."""
        return orjson.dumps(self.arguments).decode()


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer; `stop` is the stop sequence it ran into."""

    text: str
    finish: Finish
    _: KW_ONLY
    calls: tuple[Call, ...] = ()
    reasoning: str = ""
    stop: str | None = None

    @property
    def output_tokens(self) -> int:
        """The tokens of text, calls and reasoning together."""
        calls = sum(count_tokens(call.name) + count_tokens(call.json) for call in self.calls)
        return count_tokens(self.text) + calls + count_tokens(self.reasoning)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens: `input_tokens` includes `cached_tokens`, `output_tokens` includes reasoning."""

    input_tokens: int
    output_tokens: int
    _: KW_ONLY
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to an `Ask`; `number` makes its id, `piece_chars` is the length of a chunk."""

    ask: Ask
    choices: Sequence[Choice]
    usage: Usage
    _: KW_ONLY
    number: int = 0
    piece_chars: int = 24
    reasoning_field: str = "reasoning_content"
    problem: Problem | None = None
    """When given, the answer arrives with status 200 and says that it failed."""


class Event(NamedTuple):
    """Some bytes of an answer, and the output tokens that they bring."""

    data: bytes
    tokens: int = 0


def join_tokens(chars: int) -> int:
    """Return the tokens of a text of so many characters, rounded up."""
    return -(-chars // CHARS_PER_TOKEN)


def count_tokens(text: str) -> int:
    """Return the tokens of a text."""
    return -(-len(text) // CHARS_PER_TOKEN)


def cut_pieces(text: str, chars: int) -> Iterator[str]:
    """Yield a text in pieces of at most `chars` characters."""
    for start in range(0, len(text), chars):
        yield text[start : start + chars]
