"""An evaluation is killed again and again, and ends as if nothing had happened."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dspex.evaluation.run_file import read_run

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[2]

# Notes go straight to the file, so that they outlive the process. Which call an epoch's answer is
# decides what it does, by the notes of all processes before: an outage first, then its end.
PROGRAM = """
import asyncio, json, os, sys
import dspex
from dspex import effects
from dspex.errors import ErrorData, ErrorKind, to_exception
from dspex.evaluation import Evaluation, RunFile

notes_path, run_path, fsync = sys.argv[1:]
notes = os.open(notes_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def note(what, index, epoch):
    os.write(notes, f"{what} {index} {epoch}\\n".encode())

async def program(number):
    epoch = effects.current().sample
    note("call", number, epoch)
    await asyncio.sleep(0.002 + (number * 7 + epoch) % 5 / 1000)
    if number % 11 == 3:
        raise ValueError("bad")

    if number % 13 == 5 and epoch == 1:
        raise to_exception(ErrorData(ErrorKind.SERVER, "down"))

    if number % 17 == 4:
        raise SystemExit(3)

    return dspex.Prediction(answer="yes" if (number + epoch) % 3 else "no")

async def main():
    examples = [
        dspex.Example(number=n, answer="yes").with_inputs("number") for n in range(150)
    ]
    sink = RunFile(run_path, fsync=fsync)
    async with Evaluation(
        program, examples, dspex.exact_match("answer"),
        epochs=2, max_concurrency=10, sink=sink, progress=False, max_outage_s=0,
    ) as run:
        async for outcome in run:
            if outcome.status != "unavailable":
                note("done", outcome.index, outcome.epoch)

        report = await run.report()

    outcomes = [
        [o.index, o.key, o.status, o.score, [(e.status, e.score, e.prediction) for e in o.epochs]]
        for o in report.outcomes
    ]
    errors = {name: (group.count, group.unavailable) for name, group in report.errors.items()}
    print(json.dumps([report.score, str(report.counts), report.partial, errors, outcomes]))

asyncio.run(main())
"""


def start(folder: Path, fsync: str) -> subprocess.Popen[str]:
    """Start the evaluation in a process of its own."""
    arguments = [str(folder / "notes"), str(folder / "a.run"), fsync]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def run(folder: Path, fsync: str = "always") -> Any:
    """Run it to its end and return what it reports."""
    folder.mkdir(exist_ok=True)
    with start(folder, fsync) as process:
        out, err = process.communicate()

    assert process.returncode == 0, err
    return json.loads(out)


def kill_at_random(folder: Path, rng: random.Random, goal: int) -> None:
    """Start it, and kill it when so many more notes are written, or some moments later."""
    notes = folder / "notes"
    before = size(notes)
    with start(folder, "always") as process:
        while process.poll() is None and size(notes) < before + goal:
            try:
                process.wait(rng.uniform(0.001, 0.01))
            except subprocess.TimeoutExpired:
                continue

        process.kill()
        process.communicate()


def size(path: Path) -> int:
    """Return how long a file is."""
    return path.stat().st_size if path.exists() else 0


def test_killed_again_and_again(tmp_path: Path) -> None:
    """The report is that of an undisturbed run, and nothing that had finished is called again."""
    calm = run(tmp_path / "calm")
    folder, rng = tmp_path / "killed", random.Random(7)
    folder.mkdir()
    for _ in range(5):
        kill_at_random(folder, rng, rng.randrange(1, 900))

    assert run(folder) == calm
    finished: set[str] = set()
    calls = Counter[str]()
    for line in (folder / "notes").read_text().splitlines():
        what, place = line.split(" ", 1)
        if what == "call":
            assert place not in finished, f"{place} had finished and was called again"
            calls[place] += 1
        else:
            finished.add(place)

    assert len(calls) == 300
    assert calls.total() <= 300 + 5 * 10 + 6 * 4 * 12  # in flight at each kill; outages, each time


@pytest.mark.parametrize("fsync", ["interval", "off"])
def test_window_of_loss(tmp_path: Path, fsync: str) -> None:
    """Without a sync for each, a kill loses what came in the last moments, and nothing else."""
    folder = tmp_path / "a"
    folder.mkdir()
    notes, rng = folder / "notes", random.Random(1)
    with start(folder, fsync) as process:
        while process.poll() is None and size(notes) < 1_500:
            try:
                process.wait(rng.uniform(0.001, 0.01))
            except subprocess.TimeoutExpired:
                continue

        process.kill()
        process.communicate()

    told = [line for line in notes.read_text().splitlines() if line.startswith("done")]
    kept = [
        f"done {o.index} {o.epoch}" for o in read_run(folder / "a.run") if o.status != "unavailable"
    ]
    assert kept[: len(told)] == told[: len(kept)]
    assert run(folder, fsync) == run(tmp_path / "calm", fsync)
