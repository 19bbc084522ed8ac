"""What a sandbox server counts: its own view of the traffic, to hold against the client's."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from dspex.sandbox.script import FAULTS

__all__ = ("Ledger",)


@dataclass(slots=True)
class Ledger:
    """Counts since the start, or since the last reset.

    `requests` = `completed` + `bad_requests` + `over_rate_limit` + the sum of `faults` +
    `disconnected` + `in_flight`: each request ends in exactly one of them. The tokens are those of
    `completed` requests.
    """

    requests: int = 0
    completed: int = 0
    bad_requests: int = 0
    over_rate_limit: int = 0
    disconnected: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    faults: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FAULTS, 0))

    def enter(self) -> None:
        """Count a request in."""
        self.requests += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def settle(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Count an answer that was delivered in full."""
        self.completed += 1
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens

    def restarted(self) -> Ledger:
        """Return counts that start from zero, but for the requests still in flight."""
        open_now = self.in_flight
        return Ledger(requests=open_now, in_flight=open_now, max_in_flight=open_now)

    def to_dict(self) -> dict[str, Any]:
        """Return all counts, ready for JSON."""
        return asdict(self)
