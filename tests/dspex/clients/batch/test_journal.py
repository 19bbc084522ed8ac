"""The journal survives what may happen to a file, and knows what is still out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from dspex.clients.batch.journal import BatchJournal, JournaledBatch
from dspex.errors import LoadError

DAY_S = 86_400.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def known(path: Path, now_s: float, provider: str = "openai") -> list[JournaledBatch]:
    journal = BatchJournal(path)
    found = journal.open(provider, now_s)
    journal.close()
    return found


def written(path: Path) -> BatchJournal:
    journal = BatchJournal(path)
    journal.open("openai", 0.0)
    journal.begin("n1", "openai", 0.0, ["a", "b"])
    journal.made("n1", "batch_1")
    return journal


def test_knows_what_is_out(path: Path) -> None:
    """By name, with the id if there is one, and without the lines that ended."""
    journal = written(path)
    journal.void("n1", ["a"])
    journal.begin("n2", "openai", 1.0, ["c"])
    journal.begin("n3", "other", 1.0, ["d"])
    journal.close()

    first, second = known(path, 2.0)

    assert ("batch_1", {"b"}) == (first.batch, first.lines)
    assert ("n2", None, {"c"}) == (second.nonce, second.batch, second.lines)


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_line_cut_short_is_taken_off(path: Path, cut: int) -> None:
    """Whatever of it was written; what follows is then in its place."""
    written(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"nonce": "n2", "provider": "openai", "at"'[:cut])

    journal = BatchJournal(path)
    assert ["n1"] == [batch.nonce for batch in journal.open("openai", 1.0)]
    journal.begin("n3", "openai", 1.0, ["c"])
    journal.close()

    assert path.read_bytes().startswith(whole)
    assert 2 == len(known(path, 1.0))


def test_old_batches_are_dropped(path: Path) -> None:
    """Their results are gone at the provider, too."""
    journal = written(path)
    journal.begin("n2", "openai", 10 * DAY_S, ["c"])
    journal.close()

    assert ["n2"] == [batch.nonce for batch in known(path, 29 * DAY_S)]
    assert b"n1" not in path.read_bytes()


@pytest.mark.parametrize(
    "text", ["buy milk\n", "[]\n", '{"nonce": "n9", "batch": "b"}\n', '{"batch": "b"}\n', "7\n"]
)
def test_a_file_of_something_else_is_an_error(path: Path, text: str) -> None:
    """It names the line and leaves the file alone."""
    path.write_text(text)

    with pytest.raises(LoadError, match=r"line 1"):
        BatchJournal(path).open("openai", 0.0)

    assert text == path.read_text()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Nobody guesses where to put it."""
    with pytest.raises(LoadError, match="cannot be opened"):
        BatchJournal(tmp_path / "nowhere" / "j").open("openai", 0.0)


def test_nothing_is_written_to_a_closed_one(path: Path) -> None:
    """That would be a batch that nobody finds again."""
    journal = written(path)
    journal.close()

    with pytest.raises(LoadError, match="not open"):
        journal.made("n1", "batch_2")


@given(voided=st.sets(st.sampled_from("abcdef")), kept=st.sets(st.sampled_from("abcdef")))
def test_lines_that_ended_stay_ended(
    tmp_path_factory: pytest.TempPathFactory, voided: set[str], kept: set[str]
) -> None:
    """However often it is opened."""
    path = tmp_path_factory.mktemp("journal") / "j"
    journal = BatchJournal(path)
    journal.open("p", 0.0)
    journal.begin("n", "p", 0.0, sorted(kept))
    journal.void("n", sorted(voided))
    journal.close()

    for _ in range(2):
        (batch,) = known(path, 0.0, "p")
        assert kept - voided == batch.lines
