"""Chat completion requests: from bytes to a checked value, or to the parameter at fault.

Only what a text-only model can honour is read, and unknown parameters are passed over, as servers
do. `tools` is refused, so that nobody takes silence for support.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import orjson

from dspex.sandbox.wire import error_body

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("ChatRequest", "RequestError", "parse_chat_request")

_ROLES: Final = ("system", "developer", "user", "assistant", "tool")
_MAX_CHOICES: Final = 128


class RequestError(Exception):
    """A request that the wire does not allow; becomes an error body with this status."""

    def __init__(
        self, message: str, *, status: int = 400, param: str | None = None, code: str | None = None
    ) -> None:
        """Keep what the error body needs."""
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param
        self.code = code

    def body(self) -> bytes:
        """Return the JSON error body."""
        return error_body(
            self.message, kind="invalid_request_error", param=self.param, code=self.code
        )


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """The part of a chat completion request that the sandbox honours."""

    model: str
    messages: list[dict[str, str]]
    temperature: float
    seed: int | None
    choices: int
    max_tokens: int | None
    stream: bool
    include_usage: bool
    schema: Mapping[str, Any] | None
    """None for plain text, {} for any JSON object, else the JSON schema of the answer."""


def parse_chat_request(raw: bytes) -> ChatRequest:
    """Read a request body.

    Raises:
        RequestError: with status 400, naming the parameter at fault.
    """
    try:
        data: object = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise RequestError(f"We could not parse the JSON body of your request: {exc}") from exc

    if not isinstance(data, dict):
        raise RequestError(f"The request body must be a JSON object, got {_kind(data)}")

    body = cast("dict[str, Any]", data)
    if body.get("tools"):
        raise _invalid("tools", "the sandbox model cannot call tools", "unsupported_parameter")

    return ChatRequest(
        model=_model(body.get("model")),
        messages=_messages(body.get("messages")),
        temperature=_number(body, "temperature", 0.0, 2.0, default=1.0),
        seed=_integer(body, "seed", None, None),
        choices=_integer(body, "n", 1, _MAX_CHOICES) or 1,
        max_tokens=_integer(body, "max_completion_tokens", 1, None)
        or _integer(body, "max_tokens", 1, None),
        stream=_flag(body, "stream"),
        include_usage=_flag(_object("stream_options", body.get("stream_options")), "include_usage"),
        schema=_schema(body.get("response_format")),
    )


def _invalid(param: str, problem: str, code: str = "invalid_value") -> RequestError:
    return RequestError(f"Invalid value for {param!r}: {problem}", param=param, code=code)


def _model(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise RequestError("you must provide a model parameter", param="model")

    return value


def _messages(value: object) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        raise _invalid("messages", "expected a list of at least one message")

    return [_message(index, item) for index, item in enumerate(cast("list[object]", value))]


def _message(index: int, item: object) -> dict[str, str]:
    place = f"messages[{index}]"
    message = _object(place, item, optional=False)
    role = message.get("role")
    if role not in _ROLES:
        raise _invalid(f"{place}.role", f"expected one of {', '.join(_ROLES)}, got {role!r}")

    return {"role": role, "content": _content(f"{place}.content", message.get("content"))}


def _content(place: str, value: object) -> str:
    """Return the text of a message: a string, or the text parts joined."""
    if isinstance(value, str):
        return value

    if not isinstance(value, list):
        raise _invalid(place, f"expected a string or a list of parts, got {_kind(value)}")

    texts: list[str] = []
    for number, item in enumerate(cast("list[object]", value)):
        text = _object(f"{place}[{number}]", item, optional=False).get("text")
        if not isinstance(text, str):
            raise _invalid(f"{place}[{number}]", "the sandbox model reads text parts only")

        texts.append(text)

    return "".join(texts)


def _object(place: str, value: object, *, optional: bool = True) -> dict[str, Any]:
    """Return a JSON object; one that is left out is empty if it may be."""
    if value is None and optional:
        return {}

    if not isinstance(value, dict):
        raise _invalid(place, f"expected an object, got {_kind(value)}")

    return cast("dict[str, Any]", value)


def _number(
    body: Mapping[str, Any], key: str, least: float, most: float, *, default: float
) -> float:
    value = body.get(key)
    if value is None:
        return default

    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise _invalid(key, f"expected a number from {least} to {most}, got {value!r}")

    return float(value)


def _integer(body: Mapping[str, Any], key: str, least: int | None, most: int | None) -> int | None:
    value = body.get(key)
    if value is None:
        return None

    if isinstance(value, bool) or not isinstance(value, int):
        raise _invalid(key, f"expected an integer, got {value!r}")

    if (least is not None and value < least) or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise _invalid(key, f"expected an integer {bounds}, got {value!r}")

    return value


def _flag(body: Mapping[str, Any], key: str) -> bool:
    value = body.get(key)
    if value is None:
        return False

    if not isinstance(value, bool):
        raise _invalid(key, f"expected true or false, got {value!r}")

    return value


def _schema(value: object) -> Mapping[str, Any] | None:
    """Return what `response_format` asks for; see ChatRequest.schema."""
    wanted = _object("response_format", value)
    kind = wanted.get("type", "text")
    if kind == "text":
        return None

    if kind == "json_object":
        return {}

    if kind != "json_schema":
        raise _invalid(
            "response_format.type", f"expected text, json_object or json_schema, got {kind!r}"
        )

    place = "response_format.json_schema"
    named = _object(place, wanted.get("json_schema"), optional=False)
    return _object(f"{place}.schema", named.get("schema"), optional=False)


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__
