"""The command line of the server process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dspex.sandbox import MODEL_ID
from dspex.sandbox.__main__ import main
from tests.support.project import ROOT

pytestmark = pytest.mark.slow


def command(*arguments: str) -> Sequence[str]:
    return (sys.executable, "-m", "dspex.sandbox", *arguments)


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; its standard input is empty unless `options` give another."""
    if "stdin" not in options:
        options["input"] = ""

    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
        **options,
    )


def test_end_of_input_ends_it() -> None:
    """It prints one line of JSON, and ends well when its input does."""
    done = run()
    assert done.returncode == 0, done.stderr
    announced = json.loads(done.stdout)
    assert announced["model"] == MODEL_ID
    assert announced["port"] > 0
    assert not done.stderr


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('{"seed": "x"}', "seed: expected an integer"),
        ('{"sead": 1}', "unknown key 'sead'"),
        ("{", "not JSON"),
    ],
)
def test_bad_script(
    script: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script it cannot follow is named in one line."""
    monkeypatch.setattr(sys, "argv", ["sandbox", "--script", script])
    assert main() == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_bad_option(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown options show the usage."""
    monkeypatch.setattr(sys, "argv", ["sandbox", "--colour", "red"])
    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert "usage: python -m dspex.sandbox" in capsys.readouterr().err


def test_bad_host() -> None:
    """An address that is not this machine's is named."""
    done = run("--host", "192.0.2.1")
    assert done.returncode == 1
    assert "cannot listen on 192.0.2.1" in done.stderr
    assert "Traceback" not in done.stderr


def test_input_that_cannot_be_watched(tmp_path: Path) -> None:
    """A file and the null device never say that their writer is gone; the error says what to do."""
    empty = tmp_path / "empty"
    empty.touch()
    for path in (empty, Path(os.devnull)):
        with path.open() as stdin:
            done = run(stdin=stdin)

        assert done.returncode == 1
        assert "or --stay" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_ends_a_server_that_stays(number: signal.Signals, code: int) -> None:
    """With --stay the input does not matter; a signal ends it, with the shell's exit code."""
    with subprocess.Popen(
        command("--stay"), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["port"] > 0
        process.send_signal(number)
        assert process.wait(10) == code
