"""The server's own counts."""

from __future__ import annotations

from dspex.sandbox.ledger import Ledger
from dspex.sandbox.script import FAULTS


def test_peak_of_requests_in_flight() -> None:
    """The highest number in flight at once is kept."""
    ledger = Ledger()
    ledger.enter()
    ledger.enter()
    ledger.in_flight -= 2
    ledger.enter()
    assert (ledger.requests, ledger.in_flight, ledger.max_in_flight) == (3, 1, 2)


def test_tokens_are_those_of_completed_requests() -> None:
    """Settling adds to the sums."""
    ledger = Ledger()
    ledger.settle(3, 4)
    ledger.settle(1, 1)
    assert (ledger.completed, ledger.prompt_tokens, ledger.completion_tokens) == (2, 4, 5)


def test_restart_keeps_what_is_in_flight() -> None:
    """Requests that are still open are counted as open in the new counts too."""
    ledger = Ledger()
    ledger.enter()
    ledger.enter()
    ledger.in_flight -= 1
    ledger.settle(1, 1)
    assert ledger.restarted() == Ledger(requests=1, in_flight=1, max_in_flight=1)


def test_every_fault_has_a_count() -> None:
    """No fault is missing from the counts, and two ledgers share none."""
    one, other = Ledger(), Ledger()
    one.faults["reset"] += 1
    assert other.to_dict()["faults"] == dict.fromkeys(FAULTS, 0)
