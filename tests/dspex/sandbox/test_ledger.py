"""The server's own counts."""

from __future__ import annotations

from dspex.sandbox.faults import FAULTS
from dspex.sandbox.ledger import Ledger, Tally


def test_peak_of_requests_in_flight() -> None:
    """The highest number in flight at once is kept, in all and for each wire."""
    ledger = Ledger()
    ledger.enter("a")
    ledger.enter("b")
    ledger.leave("a")
    ledger.leave("b")
    ledger.enter("a")
    total = ledger.total
    assert (total.requests, total.in_flight, total.max_in_flight) == (3, 1, 2)
    assert [ledger.wires[name].max_in_flight for name in "ab"] == [1, 1]


def test_tokens_are_those_of_completed_requests() -> None:
    """Settling adds to the sums and to the bill; billing alone only to the bill."""
    ledger = Ledger()
    ledger.settle("a", 3, 4)
    ledger.settle("a", 1, 1)
    ledger.bill("a", 5, 6)
    for tally in (ledger.total, ledger.wires["a"]):
        assert (tally.completed, tally.prompt_tokens, tally.completion_tokens) == (2, 4, 5)
        assert (tally.billed_input_tokens, tally.billed_output_tokens) == (9, 11)


def test_restart_keeps_what_is_in_flight() -> None:
    """Requests that are still open are counted as open in the new counts too."""
    ledger = Ledger()
    ledger.enter("a")
    ledger.enter("b")
    ledger.leave("b")
    ledger.end("b", "completed")
    fresh = ledger.restarted()
    assert fresh.total == Tally(requests=1, in_flight=1, max_in_flight=1)
    assert fresh.wires == {"a": fresh.total, "b": Tally()}


def test_every_fault_has_a_count() -> None:
    """No fault is missing from the counts, and two ledgers share none."""
    one, other = Ledger(), Ledger()
    one.fault("a", "reset")
    assert other.to_dict()["faults"] == dict.fromkeys(FAULTS, 0)
    assert one.to_dict()["wires"]["a"]["faults"]["reset"] == 1
