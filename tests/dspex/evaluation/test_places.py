"""Where outcomes go is understood, or refused with what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dspex.errors import EvaluationError
from dspex.evaluation.places import sink_for
from dspex.evaluation.run_file import RunFile
from dspex.evaluation.sink import MemorySink


class TestSinkFor:
    def test_nothing(self) -> None:
        """No sink and no name."""
        assert sink_for(None, None) == (None, None)

    def test_a_sink(self) -> None:
        """Goes through."""
        sink = MemorySink()
        assert sink_for(sink, None) == (sink, None)

    @pytest.mark.parametrize("kind", [str, Path])
    def test_a_folder_and_a_name(self, kind: Any) -> None:
        """Make a file for the run."""
        sink, name = sink_for(kind("runs"), "a-1.2_b")
        assert isinstance(sink, RunFile)
        assert (sink.path, name) == (Path("runs/a-1.2_b.run"), "a-1.2_b")

    def test_a_run_file(self) -> None:
        """Has the name of its file, or the one that is given."""
        file = RunFile("runs/tuesday.run")
        assert sink_for(file, None) == (file, "tuesday")
        assert sink_for(file, "other") == (file, "other")

    @pytest.mark.parametrize("sink", [None, MemorySink()])
    def test_a_name_without_a_place(self, sink: Any) -> None:
        """The message says what gives a run a place."""
        with pytest.raises(EvaluationError, match=r"run_id='a' has no place.*sink='runs'.*RunFile"):
            sink_for(sink, "a")

    @pytest.mark.parametrize("name", ["", "a/b", "../x", ".hidden", "a b", "x" * 101, 7])
    def test_names_that_are_no_file_names(self, name: Any) -> None:
        """Nothing is written elsewhere than where it was meant to be."""
        with pytest.raises(EvaluationError, match="run_id is"):
            sink_for("runs", name)

    def test_no_sink_at_all(self) -> None:
        """What it is, is shown."""
        with pytest.raises(EvaluationError, match="the sink is 7: give a folder"):
            sink_for(7, None)  # type: ignore[arg-type]  # the mistake
