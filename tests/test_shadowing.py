"""Another distribution called `supervision` in the way is an error that says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.project import ROOT


def import_dspex(*path: Path) -> subprocess.CompletedProcess[str]:
    """Import dspex in a fresh interpreter that looks at `path` first."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT]))}
    return subprocess.run(
        [sys.executable, "-c", "import dspex"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


def test_shadowed_supervision_is_named(tmp_path: Path) -> None:
    """The import fails in one line with the file that is in the way and what to do about it."""
    stranger = tmp_path / "supervision" / "__init__.py"
    stranger.parent.mkdir()
    stranger.write_text("class Detections: ...\n")

    done = import_dspex(tmp_path)

    assert done.returncode == 1
    *_, last = done.stderr.strip().splitlines()
    assert last.startswith("ImportError: ")
    assert str(stranger) in last
    assert "uninstall" in last


def test_own_supervision_is_accepted() -> None:
    """Without a stranger in the way the import passes in silence."""
    done = import_dspex()
    assert (done.returncode, done.stderr) == (0, "")
