"""How far a batch is follows from the time alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from dspex.sandbox.batches import Batch, BatchStore, Line, check_identities
from dspex.sandbox.exchange import Ask, Problem, RequestError
from dspex.sandbox.wires import OPENAI_CHAT

ASK = Ask(model="m", messages=())


def batch(size: int = 4, **options: Any) -> Batch:
    lines = [Line(str(number), OPENAI_CHAT, ASK) for number in range(size)]
    values = {"finish_s": 10.0, "expire_s": 100.0, "failed_share": 0.0, "seed": 0} | options
    return Batch(1, "w", lines, 1000.0, **values)


def test_lines_are_done_evenly() -> None:
    """After half the time half the lines are done, at the end all of them."""
    made = batch()
    assert [made.progress(1000.0 + t).done for t in (0.0, 5.0, 9.9, 10.0)] == [0, 2, 3, 4]
    assert made.progress(1009.9).end is None
    assert made.progress(1010.0).end == "finished"
    assert made.progress(5000.0).ended_s == 1010.0


def test_expiry_leaves_the_rest_undone() -> None:
    """What is not done when the batch expires never is."""
    made = batch(expire_s=5.0)
    progress = made.progress(2000.0)
    assert (progress.end, progress.done) == ("expired", 2)
    assert made.counts(progress) == {
        "processing": 0,
        "succeeded": 2,
        "errored": 0,
        "canceled": 0,
        "expired": 2,
    }


def test_cancel_keeps_what_is_done() -> None:
    """Canceled lines are those that were not reached."""
    made = batch()
    made.canceled_s = 1002.6
    progress = made.progress(1003.0)
    assert [made.outcome(i, progress) for i in range(4)] == ["succeeded"] + ["canceled"] * 3


def test_cancel_after_the_end_changes_nothing() -> None:
    """What comes first decides."""
    made = batch()
    made.canceled_s = 1020.0
    assert made.progress(1030.0).end == "finished"


@given(st.integers(1, 30), st.floats(0, 1), st.integers(0, 99))
def test_outcomes_add_up(size: int, share: float, seed: int) -> None:
    """At any time each line has one outcome, and the same one when asked again."""
    made = batch(size, failed_share=share, seed=seed)
    for now_s in (1000.0, 1004.0, 1010.0):
        progress = made.progress(now_s)
        assert sum(made.counts(progress).values()) == size
        assert made.counts(progress) == made.counts(made.progress(now_s))


def test_shares_of_failure() -> None:
    """None fails at 0, all at 1, and a bad line always."""
    assert all(batch().problem(i) is None for i in range(4))
    assert all(batch(failed_share=1.0).problem(i) for i in range(4))
    bad = Line("x", OPENAI_CHAT, Problem("invalid"))
    made = Batch(1, "w", [bad], 0.0, 1.0, 2.0, 0.0, 0)
    assert made.problem(0) == Problem("invalid")


def test_doubled_ids_are_found() -> None:
    """The first id that comes twice is named."""
    lines = [Line(name, OPENAI_CHAT, ASK) for name in "abca"]
    assert check_identities(lines) == "a"
    assert check_identities(lines[:3]) is None


def test_store_knows_its_wires() -> None:
    """A batch of another wire is as unknown as one that never was."""
    store = BatchStore(batches={"b": batch()})
    assert store.batch("b", "w") is store.batches["b"]
    for identity, wire in (("b", "v"), ("c", "w")):
        with pytest.raises(RequestError):
            store.batch(identity, wire)

    with pytest.raises(RequestError):
        store.file("f")
