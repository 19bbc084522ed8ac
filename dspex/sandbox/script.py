"""What a sandbox server does to the requests it gets: a frozen value that survives JSON.

A script decides from its seed and the number of the request alone, never from the clock, so that
the same requests in the same order meet the same latencies and the same faults. Only the rate limit
looks at the time: it counts requests per window, as a provider does.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field, fields
from typing import Any, Final, Literal, TypeVar, cast, get_args

import orjson

from dspex.errors import SandboxError

__all__ = (
    "FAULTS",
    "Fault",
    "Faults",
    "Latency",
    "Plan",
    "RateLimit",
    "RateWindow",
    "Script",
    "admit",
)

Fault = Literal[
    "rate_limited",
    "quota_exhausted",
    "server_error",
    "unavailable",
    "reset",
    "cut",
    "stall",
    "garbage",
]

FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
"""The names of all faults, in the order in which shares are laid side by side."""

_Part = TypeVar("_Part")


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
        _require_at_least("latency.median_s", self.median_s, 0)
        _require_at_least("latency.sigma", self.sigma, 0)
        _require_at_least("latency.max_s", self.max_s, 0)

    def draw(self, source: random.Random) -> float:
        """Return one latency in seconds."""
        if not self.sigma:
            return min(self.median_s, self.max_s)

        return min(self.median_s * math.exp(source.gauss(0.0, self.sigma)), self.max_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The share of requests, from 0 to 1, that meets each fault; together at most 1.

    `rate_limited`: 429 with Retry-After. `quota_exhausted`: 429 `insufficient_quota`, which waiting
    does not cure. `server_error`: 500. `unavailable`: 503. `reset`: the connection is reset before
    any header. `cut`: closed half way through the body. `stall`: half the body, then silence for
    the script's `stall_s`, then closed. `garbage`: 200 with a body that is not JSON.
    """

    rate_limited: float = 0.0
    quota_exhausted: float = 0.0
    server_error: float = 0.0
    unavailable: float = 0.0
    reset: float = 0.0
    cut: float = 0.0
    stall: float = 0.0
    garbage: float = 0.0

    def __post_init__(self) -> None:
        """Refuse shares outside 0 to 1 and a sum over 1."""
        for name in FAULTS:
            _require_between(f"faults.{name}", getattr(self, name), 0, 1)

        total = math.fsum(getattr(self, name) for name in FAULTS)
        if total > 1 + 1e-9:
            raise SandboxError(
                f"faults: the shares add up to {total!r}; they may add up to 1 at most"
            )

    def pick(self, point: float) -> Fault | None:
        """Return the fault whose share covers `point` in [0, 1), or None past the last one."""
        edge = 0.0
        for name in FAULTS:
            edge += getattr(self, name)
            if point < edge:
                return name

        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most `requests` per window of `window_s` seconds; the rest is answered with 429."""

    requests: int
    window_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse a limit that admits nothing and a window without length."""
        _require_integer("rate_limit.requests", self.requests, 1)
        _require_at_least("rate_limit.window_s", self.window_s, 0.001)


@dataclass(frozen=True, slots=True)
class RateWindow:
    """The current window of a rate limit: when it opened (seconds) and how many it has admitted."""

    opened_at_s: float = -math.inf
    admitted: int = 0


def admit(limit: RateLimit, window: RateWindow, now_s: float) -> tuple[RateWindow, float]:
    """Return the window after a request at `now_s`, and 0 or the seconds until the next window."""
    if now_s - window.opened_at_s >= limit.window_s:
        return RateWindow(now_s, 1), 0.0

    if window.admitted < limit.requests:
        return RateWindow(window.opened_at_s, window.admitted + 1), 0.0

    return window, window.opened_at_s + limit.window_s - now_s


@dataclass(frozen=True, slots=True)
class Plan:
    """What one request meets."""

    latency_s: float
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class Script:
    """How the server behaves from now on.

    `opening` names what the first requests meet, in order (a fault, or "ok"), before the shares in
    `faults` take over. `answer` is sent instead of the model's answer when it is given: for load
    tests, where the model's own time is not the question. `chunk_interval_s` separates the chunks
    of a stream. `retry_after_s` is what an injected 429 asks for; one from `rate_limit` asks for
    the rest of its window.
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

    def __post_init__(self) -> None:
        """Refuse what the parts do not check themselves."""
        _require_integer("seed", self.seed, 0)
        _require_type("latency", self.latency, Latency)
        _require_type("faults", self.faults, Faults)
        _require_type("rate_limit", self.rate_limit, RateLimit, type(None))
        _require_type("opening", self.opening, tuple)
        _require_type("answer", self.answer, str, type(None))
        for item in self.opening:
            if item not in FAULTS and item != "ok":
                raise SandboxError(
                    f"opening: unknown fault {item!r}; known: ok, {', '.join(FAULTS)}"
                )

        for name in ("chunk_interval_s", "retry_after_s", "stall_s"):
            _require_at_least(name, getattr(self, name), 0)

    def plan(self, number: int) -> Plan:
        """Return what request `number`, from 0, meets: a pure function of seed and number."""
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

        values = _checked_keys("script", cls, data)
        _convert(values, "latency", Latency)
        _convert(values, "faults", Faults)
        _convert(values, "rate_limit", RateLimit)
        if isinstance(opening := values.get("opening"), list):
            values["opening"] = tuple(opening)  # pyright: ignore[reportUnknownArgumentType] - checked item by item

        return cls(**values)


def _convert(values: dict[str, Any], key: str, part: type[_Part]) -> None:
    """Replace the JSON object under `key`, if there is one, by the value it describes."""
    if values.get(key) is None:
        return

    arguments = _checked_keys(key, part, values[key])
    try:
        values[key] = part(**arguments)
    except TypeError as exc:
        raise SandboxError(f"{key}: {exc}; got {values[key]!r}") from exc


def _checked_keys(place: str, target: type[Any], data: object) -> dict[str, Any]:
    """Return `data` as keyword arguments for `target`, or name the key that it does not have."""
    if not isinstance(data, Mapping):
        raise SandboxError(f"{place}: expected a JSON object, got {data!r}")

    known = [item.name for item in fields(target) if item.name != "_"]
    given = cast("Mapping[str, Any]", data)
    for key in given:
        if key not in known:
            raise SandboxError(f"{place}: unknown key {key!r}; known keys: {', '.join(known)}")

    return dict(given)


def _require_at_least(name: str, value: object, least: float) -> None:
    _require_between(name, value, least, math.inf)


def _require_between(name: str, value: object, least: float, most: float) -> None:
    """Refuse what is no finite number, or is outside [least, most]."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SandboxError(f"{name}: expected a finite number, got {value!r}")

    if not least <= value <= most:
        bounds = f"at least {least}" if most == math.inf else f"between {least} and {most}"
        raise SandboxError(f"{name}: must be {bounds}, got {value!r}")


def _require_integer(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SandboxError(f"{name}: expected an integer of at least {least}, got {value!r}")


def _require_type(name: str, value: object, *kinds: type[Any]) -> None:
    if not isinstance(value, kinds):
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise SandboxError(f"{name}: expected {expected}, got {value!r}")
