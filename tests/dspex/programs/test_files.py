"""One document in one file: whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dspex.programs.files import read_document, write_document
from dspex.programs.migrations import FILE_MARK, FILE_SCHEMA


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Any JSON, any text; readable, with a line break at the end."""
    data = {FILE_MARK: FILE_SCHEMA, "text": "ä\ud800\n", "list": [1, None]}
    write_document(tmp_path / "x.json", data)

    assert read_document(tmp_path / "x.json") == data
    assert (tmp_path / "x.json").read_bytes().startswith(b'{\n  "dspex_program": 2,\n')


def test_a_failed_write_leaves_everything_as_it_was(tmp_path: Path) -> None:
    """No half file, no temporary one."""
    path = tmp_path / "x.json"
    path.write_text("old")

    with pytest.raises(TypeError):
        write_document(path, {"a": object()})
    with pytest.raises(OSError, match="nowhere"):
        write_document(tmp_path / "nowhere" / "x.json", {})

    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]


def test_a_crash_while_replacing_leaves_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The temporary file goes when the last step fails."""

    def fail(self: Path, target: Path) -> Path:
        raise OSError("disk gone")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk gone"):
        write_document(tmp_path / "x.json", {})

    assert list(tmp_path.iterdir()) == []


def test_the_mode_of_an_old_file_is_kept(tmp_path: Path) -> None:
    """A private file stays private, a new one is as open as other files."""
    path = tmp_path / "x.json"
    path.write_text("old")
    path.chmod(0o600)
    write_document(path, {FILE_MARK: 1})
    write_document(tmp_path / "new.json", {FILE_MARK: 1})

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new.json").stat().st_mode) == 0o644
