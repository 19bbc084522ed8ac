"""What a sandbox server does to the requests it gets: a frozen value that survives JSON.

A script decides from its seed and the number of the request alone, never from the clock, so that
the same requests in the same order meet the same latencies and the same faults. Only the rate limit
and batches look at the time.
"""

from __future__ import annotations

import random
from dataclasses import KW_ONLY, asdict, dataclass, field, fields
from typing import Any, Final, Literal

import orjson

from dspex.errors import SandboxError
from dspex.sandbox.checks import (
    checked_keys,
    convert,
    convert_each,
    require_at_least,
    require_between,
    require_integer,
    require_type,
)
from dspex.sandbox.faults import Fault, Faults
from dspex.sandbox.limits import RateLimit
from dspex.sandbox.options import (
    Batching,
    Damage,
    Latency,
    Reasoning,
    RetryHint,
    Streaming,
    ToolTurn,
    require_opening,
)

__all__ = ("Plan", "Script", "known_keys")

_PARTS: Final[dict[str, type[Any]]] = {
    "latency": Latency,
    "faults": Faults,
    "stream": Streaming,
    "retry": RetryHint,
    "damage": Damage,
    "reasoning": Reasoning,
    "batch": Batching,
}
_TUPLES: Final = ("opening", "models")


@dataclass(frozen=True, slots=True)
class Plan:
    """What one request meets."""

    latency_s: float
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class Script:
    """How the server behaves from now on.

    Time and trouble
        `latency`, `stream` (the cadence of streams; `chunk_interval_s` sets the seconds between two
        chunks directly), `faults` by share. `opening` names what the first requests meet, in order
        (a fault, or "ok"), before the shares take over. `damage`, `retry`, `retry_after_s` and
        `stall_s` are their details: an injected 429 asks for `retry_after_s`, one from
        `rate_limit` for the rest of its window. Over `max_in_flight` requests at once, the next is
        told that the server is `unavailable`.
    Answers
        `answer` is sent instead of the model's answer when it is given: for load tests, where the
        model's own time is not the question. `tool_calls` are the assistant's turns of a
        conversation with tools, told apart by how many results of calls a request brings back, so
        that the server keeps no state. `reasoning` is shown when asked for. `cached_share` of the
        input tokens are said to come from a cache.
    Access
        `api_key`, when given, has to come with each request, in the wire's own header. `models`
        are names the model answers to besides its own.
    """

    _: KW_ONLY
    seed: int = 0
    latency: Latency = field(default_factory=Latency)
    faults: Faults = field(default_factory=Faults)
    rate_limit: RateLimit | None = None
    opening: tuple[Fault | Literal["ok"], ...] = ()
    answer: str | None = None
    chunk_interval_s: float = 0.0
    retry_after_s: float = 1.0
    stall_s: float = 30.0
    stream: Streaming = field(default_factory=Streaming)
    retry: RetryHint = field(default_factory=RetryHint)
    damage: Damage = field(default_factory=Damage)
    reasoning: Reasoning = field(default_factory=Reasoning)
    tool_calls: tuple[ToolTurn, ...] = ()
    batch: Batching = field(default_factory=Batching)
    cached_share: float = 0.0
    max_in_flight: int | None = None
    api_key: str | None = None
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what the parts do not check themselves."""
        require_integer("seed", self.seed, 0)
        for name, part in _PARTS.items():
            require_type(name, getattr(self, name), part)

        require_type("rate_limit", self.rate_limit, RateLimit, type(None))
        require_opening("opening", self.opening)
        require_type("answer", self.answer, str, type(None))
        require_type("api_key", self.api_key, str, type(None))
        for name, kind in (("tool_calls", ToolTurn), ("models", str)):
            require_type(name, getattr(self, name), tuple)
            for item in getattr(self, name):
                require_type(name, item, kind)

        for name in ("chunk_interval_s", "retry_after_s", "stall_s"):
            require_at_least(name, getattr(self, name), 0)

        require_between("cached_share", self.cached_share, 0, 1)
        if self.max_in_flight is not None:
            require_integer("max_in_flight", self.max_in_flight, 1)

    @property
    def interval_s(self) -> float:
        """Seconds between two chunks of a stream."""
        return self.chunk_interval_s or self.stream.interval_s

    def plan(self, number: int) -> Plan:
        """Return what request `number`, from 0, meets: a pure function of seed and number."""
        if number >= len(self.opening) and not self.latency.sigma and not self.faults.any:
            return Plan(min(self.latency.median_s, self.latency.max_s), None)

        source = random.Random(self.seed << 40 | number)
        point = source.random()
        latency_s = self.latency.draw(source)
        if number < len(self.opening):
            name = self.opening[number]
            return Plan(latency_s, None if name == "ok" else name)

        return Plan(latency_s, self.faults.pick(point))

    def to_json(self) -> str:
        """Return the script as a JSON object that `from_json` reads back to an equal value."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Script:
        """Read a script; keys that are left out keep their defaults.

        Raises:
            SandboxError: the text is not a JSON object, or a key or value does not belong there.
        """
        try:
            data = orjson.loads(text)
        except orjson.JSONDecodeError as exc:
            raise SandboxError(f"script: not JSON: {exc}; got {text[:80]!r}") from exc

        values = checked_keys("script", cls, data)
        for name, part in _PARTS.items():
            convert(values, name, part)

        convert(values, "rate_limit", RateLimit)
        convert_each(values, "tool_calls", ToolTurn)
        for name in _TUPLES:
            if isinstance(items := values.get(name), list):
                values[name] = tuple(items)  # pyright: ignore[reportUnknownArgumentType] - checked item by item

        return cls(**values)


def known_keys() -> tuple[str, ...]:
    """Return the keys of a script."""
    return tuple(item.name for item in fields(Script))
