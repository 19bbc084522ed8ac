"""A candidate's load is what a policy compares."""

from __future__ import annotations

from dspex.clients.routing.candidate import Candidate, usable


def test_load_is_for_each_unit_of_weight() -> None:
    """Half the weight, twice the load."""
    assert (2.0, 8.0) == (
        Candidate(0, in_flight=4, weight=2).load,
        Candidate(0, in_flight=4, weight=0.5).load,
    )


def test_when_all_are_open_all_are_left() -> None:
    """Somebody has to say no."""
    view = [Candidate(0, open=True), Candidate(1, open=True, quota_free=False)]

    assert view == usable(view)
