"""`dspex.run`: what a signal does to a program with an evaluation under way."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dspex.evaluation.run_file import read_run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")

ROOT = Path(__file__).parents[2]

PROGRAM = """
    import asyncio, sys
    import dspex, dspex.effects

    def note(*words):
        print(*words, flush=True)

    async def program(question):
        note("begin", question)
        await asyncio.sleep(0 if int(question) < 4 else float(sys.argv[2]))
        return dspex.Prediction(answer="yes")

    def dataset(count):
        return [
            dspex.Example(question=str(n), answer="yes").with_inputs("question")
            for n in range(count)
        ]

    async def watch():
        while not dspex.effects.current_draining().requested:
            await asyncio.sleep(0.01)

        note("draining")

    async def main():
        watching = asyncio.create_task(watch())
        try:
            report = await dspex.evaluate(
                program, dataset(50), dspex.exact_match("answer"),
                max_concurrency=4, run_id="r", sink=sys.argv[1], progress=False,
            )
            note("scored", report.counts.scored, report.stopped_early)
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            note("cancelled")
            raise

    dspex.run(main)
"""


def execute(folder: Path, latency_s: float, *signals: str) -> tuple[int, list[str]]:
    """Run the program and send SIGINT when each of these lines appears."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder), str(latency_s)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    lines: list[str] = []
    waiting = list(signals)
    assert process.stdout is not None
    with process:
        for line in process.stdout:
            lines.append(line.strip())
            if waiting and lines[-1] == waiting[0]:
                process.send_signal(signal.SIGINT)
                waiting.pop(0)

    return process.returncode, lines


@pytest.mark.slow
def test_first_interrupt_brings_home_what_is_in_flight(tmp_path: Path) -> None:
    """Nothing new is begun, what was begun is scored and kept, and the exit code is 130."""
    code, lines = execute(tmp_path, 0.5, "begin 7")
    lines.remove("draining")
    begun = [line for line in lines if line.startswith("begin")]
    assert code == 130
    assert lines[len(begun) :] == [
        f"scored {len(begun)} interrupted: told to come home",
        "cancelled",
    ]
    assert len(begun) <= 9
    assert len(list(read_run(tmp_path / "r.run"))) == len(begun)


@pytest.mark.slow
def test_second_interrupt_cancels(tmp_path: Path) -> None:
    """What is in flight is given up; what had finished is kept, and can be taken up."""
    code, lines = execute(tmp_path, 60, "begin 7", "draining")
    assert code == 130
    assert lines[-1] == "cancelled"
    assert not any(line.startswith("scored") for line in lines)
    assert len(list(read_run(tmp_path / "r.run"))) == 4
    _, lines = execute(tmp_path, 0.01, "scored 50 None")
    assert "begin 3" not in lines
    assert "begin 4" in lines
