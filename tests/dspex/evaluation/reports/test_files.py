"""Files that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from dspex.evaluation.reports.files import replacing, write_text


def test_replaces_whole(tmp_path: Path) -> None:
    """A text takes the place of the old one, whose mode stays."""
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(0o640)
    write_text(path, "new \u00e9 \ud800")
    assert path.read_text("utf-8") == "new \u00e9 \\ud800"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def half_write(path: Path) -> None:
    """Fail in the middle of writing."""
    with replacing(path) as file:
        file.write_text("half")
        raise ZeroDivisionError


def test_failure_leaves_the_old(tmp_path: Path) -> None:
    """What fails half-way leaves what was there, and nothing beside it."""
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        half_write(path)

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
