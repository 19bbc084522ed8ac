"""The parts of a script: small frozen records, each about one side of a server's behaviour."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from dspex.errors import SandboxError
from dspex.sandbox.checks import (
    convert_each,
    require_at_least,
    require_between,
    require_integer,
    require_one_of,
    require_type,
)
from dspex.sandbox.faults import FAULTS, Fault
from dspex.sandbox.wires.dialect import RETRY_FORMS, RetryForm

if TYPE_CHECKING:
    import random

__all__ = (
    "Batching",
    "Damage",
    "Latency",
    "Reasoning",
    "RetryHint",
    "ScriptedCall",
    "Streaming",
    "ToolTurn",
    "require_opening",
)

_REASONING_FIELDS: Final = ("reasoning_content", "reasoning")


def require_opening(name: str, opening: object) -> None:
    """Refuse an opening that is no tuple of faults and "ok"."""
    require_type(name, opening, tuple)
    for item in cast("tuple[object, ...]", opening):
        if item not in FAULTS and item != "ok":
            raise SandboxError(f"{name}: unknown fault {item!r}; known: ok, {', '.join(FAULTS)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Time from a request to the first byte of its answer.

    `median_s` seconds for every request when `sigma` is 0; else log-normal with that median and
    that standard deviation of the logarithm, cut at `max_s`.
    """

    median_s: float = 0.0
    sigma: float = 0.0
    max_s: float = 120.0

    def __post_init__(self) -> None:
        """Refuse times that no clock can wait for."""
        require_at_least("latency.median_s", self.median_s, 0)
        require_at_least("latency.sigma", self.sigma, 0)
        require_at_least("latency.max_s", self.max_s, 0)

    def draw(self, source: random.Random) -> float:
        """Return one latency in seconds."""
        if not self.sigma:
            return min(self.median_s, self.max_s)

        return min(self.median_s * math.exp(source.gauss(0.0, self.sigma)), self.max_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaming:
    """The cadence of streams: `chunk_tokens` a chunk, at `tokens_per_s` (0: as fast as can be)."""

    chunk_tokens: int = 6
    tokens_per_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse empty chunks and negative speed."""
        require_integer("stream.chunk_tokens", self.chunk_tokens, 1)
        require_at_least("stream.tokens_per_s", self.tokens_per_s, 0)

    @property
    def interval_s(self) -> float:
        """Seconds between two chunks."""
        return self.chunk_tokens / self.tokens_per_s if self.tokens_per_s else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryHint:
    """How a 429 says when to come back, and whether any error says that coming back makes sense.

    `form`: "wire" as the provider does it; "seconds" and "date" in `Retry-After`; "milliseconds" in
    `retry-after-ms`; "reset" in the provider's own reset header; "body" in Gemini's RetryInfo;
    "none" not at all. `should_retry` becomes `x-should-retry` on every error answer.
    """

    form: RetryForm = "wire"
    should_retry: bool | None = None

    def __post_init__(self) -> None:
        """Refuse unknown forms."""
        require_one_of("retry.form", self.form, RETRY_FORMS)
        require_type("retry.should_retry", self.should_retry, bool, type(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """The measures of faults in a body.

    `after_tokens`: how many tokens of a stream come before it is cut, reset, stalled or broken
    (None: half of its events). `drip_bytes` and `drip_interval_s`: the steps of `slow_drip`.
    `oversized_bytes`: where `oversized` ends if the client has not.
    """

    after_tokens: int | None = None
    drip_bytes: int = 16
    drip_interval_s: float = 0.002
    oversized_bytes: int = 1 << 32

    def __post_init__(self) -> None:
        """Refuse what cannot be sent."""
        if self.after_tokens is not None:
            require_integer("damage.after_tokens", self.after_tokens, 0)

        require_integer("damage.drip_bytes", self.drip_bytes, 1)
        require_at_least("damage.drip_interval_s", self.drip_interval_s, 0)
        require_integer("damage.oversized_bytes", self.oversized_bytes, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """What the model shows as its reasoning when a request asks for some; nothing when empty.

    `field` is its name on the chat completions wire, where servers differ.
    """

    text: str = ""
    field: Literal["reasoning_content", "reasoning"] = "reasoning_content"

    def __post_init__(self) -> None:
        """Refuse other names of the field."""
        require_type("reasoning.text", self.text, str)
        require_one_of("reasoning.field", self.field, _REASONING_FIELDS)


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """One call of a tool, as it is sent."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        """Refuse a call without a name, and arguments that are no object."""
        require_type("tool_calls: calls: name", self.name, str)
        require_type("tool_calls: calls: arguments", self.arguments, Mapping)


@dataclass(frozen=True, slots=True)
class ToolTurn:
    """One turn of the assistant: text, calls, or both."""

    text: str = ""
    calls: tuple[ScriptedCall, ...] = ()

    def __post_init__(self) -> None:
        """Refuse calls that are none."""
        require_type("tool_calls: text", self.text, str)
        require_type("tool_calls: calls", self.calls, tuple)
        for call in self.calls:
            require_type("tool_calls: calls", call, ScriptedCall)

    @staticmethod
    def prepare(values: dict[str, Any]) -> None:
        """Read the calls of a turn from JSON, in place."""
        convert_each(values, "calls", ScriptedCall)


@dataclass(frozen=True, slots=True)
class Batching:
    """How batches go: done `finish_s` after they came, expired after `expire_s`.

    `failed` is the share of lines, from 0 to 1, that fail with a `server_error` of their own; which
    ones follows from the script's seed and the line's number. `opening` names what the first
    requests of the batch routes meet, in order; they take no number of the script's own opening.
    """

    _: KW_ONLY
    finish_s: float = 0.0
    expire_s: float = 86400.0
    failed: float = 0.0
    opening: tuple[Fault | Literal["ok"], ...] = ()

    def __post_init__(self) -> None:
        """Refuse times and shares that are none."""
        require_at_least("batch.finish_s", self.finish_s, 0)
        require_at_least("batch.expire_s", self.expire_s, 0)
        require_between("batch.failed", self.failed, 0, 1)
        require_opening("batch.opening", self.opening)

    @staticmethod
    def prepare(values: dict[str, Any]) -> None:
        """Read the opening from JSON, in place."""
        if isinstance(opening := values.get("opening"), list):
            values["opening"] = tuple(opening)  # pyright: ignore[reportUnknownArgumentType] - checked item by item
