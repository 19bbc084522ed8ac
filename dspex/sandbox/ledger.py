"""What a sandbox server counts: its own view of the traffic, to hold against the client's."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dspex.sandbox.faults import FAULTS

if TYPE_CHECKING:
    from dspex.sandbox.faults import Fault

__all__ = ("End", "Ledger", "Tally")

End = Literal["completed", "bad_requests", "over_rate_limit", "over_capacity", "disconnected"]
"""How a request ended, if not in a fault of the script."""


@dataclass(slots=True)
class Tally:
    """Counts since the start, or since the last reset.

    `requests` = `completed` + `bad_requests` + `over_rate_limit` + `over_capacity` + the sum of
    `faults` + `disconnected` + `in_flight`: each request ends in exactly one of them. A client that
    does not wait for the end of its answer is `disconnected`, whatever fault it met.

    `prompt_tokens` and `completion_tokens` are those of `completed` requests. What is billed is
    more: the answers that were damaged on the way or left by their reader, with the output that was
    sent (all of it where the answer was one body), and the lines of batches.
    """

    requests: int = 0
    completed: int = 0
    bad_requests: int = 0
    over_rate_limit: int = 0
    over_capacity: int = 0
    disconnected: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    billed_input_tokens: int = 0
    billed_output_tokens: int = 0
    attachments: int = 0
    faults: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FAULTS, 0))

    def restarted(self) -> Tally:
        """Return counts that start from zero, but for the requests still in flight."""
        open_now = self.in_flight
        return Tally(requests=open_now, in_flight=open_now, max_in_flight=open_now)


class Ledger:
    """The counts of a server: all together, and for each wire that was used."""

    def __init__(self) -> None:
        """Start from zero."""
        self.total = Tally()
        self.wires: dict[str, Tally] = {}

    def enter(self, wire: str) -> None:
        """Count a request in."""
        for tally in self._both(wire):
            tally.requests += 1
            tally.in_flight += 1
            tally.max_in_flight = max(tally.max_in_flight, tally.in_flight)

    def leave(self, wire: str) -> None:
        """Count a request out."""
        for tally in self._both(wire):
            tally.in_flight -= 1

    def end(self, wire: str, how: End) -> None:
        """Count how a request ended."""
        for tally in self._both(wire):
            setattr(tally, how, getattr(tally, how) + 1)

    def fault(self, wire: str, name: Fault) -> None:
        """Count a request that ended in a fault."""
        for tally in self._both(wire):
            tally.faults[name] += 1

    def settle(self, wire: str, input_tokens: int, output_tokens: int) -> None:
        """Count an answer that was delivered in full, and bill it."""
        for tally in self._both(wire):
            tally.completed += 1
            tally.prompt_tokens += input_tokens
            tally.completion_tokens += output_tokens
            tally.billed_input_tokens += input_tokens
            tally.billed_output_tokens += output_tokens

    def bill(self, wire: str, input_tokens: int, output_tokens: int) -> None:
        """Bill what was made, whether or not it was delivered in full."""
        for tally in self._both(wire):
            tally.billed_input_tokens += input_tokens
            tally.billed_output_tokens += output_tokens

    def attach(self, wire: str, count: int) -> None:
        """Count images, sounds and files."""
        for tally in self._both(wire):
            tally.attachments += count

    def restarted(self) -> Ledger:
        """Return a ledger from zero, but for the requests still in flight."""
        fresh = Ledger()
        fresh.total = self.total.restarted()
        fresh.wires = {name: tally.restarted() for name, tally in self.wires.items()}
        return fresh

    def to_dict(self) -> dict[str, Any]:
        """Return all counts, ready for JSON: those of all wires, and each wire's under `wires`."""
        wires = {name: asdict(tally) for name, tally in self.wires.items()}
        return {**asdict(self.total), "wires": wires}

    def _both(self, wire: str) -> tuple[Tally, Tally]:
        tally = self.wires.get(wire)
        if tally is None:
            tally = self.wires[wire] = Tally()

        return self.total, tally
