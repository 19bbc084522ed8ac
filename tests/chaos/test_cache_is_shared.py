"""Processes share one cache on disk and are killed as they write: nobody reads a wrong answer."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.project import ROOT

KEYS = 400
KILLS = 4

# Writes and reads as fast as it can. The text of an answer is made of its key, so that a wrong one
# is seen; ends by itself after so many rounds, with the numbers of hits and wrong answers.
WORKER = """
import asyncio, random, sys
from pathlib import Path
from dspex.cache import cache_child
from dspex.config import CacheSettings
from dspex.messages import Choice, Response
from supervision import Bus

def text(key):
    return (key + " ") * (1 + int(key) * 7 % 900)

async def main(path, rounds):
    up = asyncio.get_running_loop().create_future()
    settings = CacheSettings(path=Path(path), max_bytes=1)  # memory holds nothing
    child = asyncio.create_task(cache_child(lambda: settings, Bus(), ready=up.set_result))
    cache = await up
    hits = wrong = 0
    print("up", flush=True)
    for round in range(rounds):
        for _ in range(50):
            key = str(random.randrange(KEYS))
            found = await cache.fetch(key)
            if found is None:
                cache.put(key, Response((Choice(text(key)),)))
            else:
                hits += 1
                wrong += found.text != text(key)
                if random.random() < 0.3:
                    cache.put(key, Response((Choice(text(key)),)))

        await asyncio.sleep(0.001)

    faults = cache.disk.statistics().faults
    child.cancel()
    await asyncio.wait([child])
    print(hits, wrong, faults)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def start(path: Path, rounds: int) -> subprocess.Popen[str]:
    script = WORKER.replace("KEYS", str(KEYS))
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path), str(rounds)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "up\n" == process.stdout.readline()
    return process


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.timeout(60)
async def test_killed_in_the_middle_of_writing(tmp_path: Path) -> None:
    """The survivor meets neither a wrong answer, nor a broken row, nor a lock; nor does anybody
    afterwards.
    """
    path = tmp_path / "cache.db"
    rng = random.Random(7)
    survivor = start(path, rounds=900)
    with survivor:
        for _ in range(KILLS):
            with start(path, rounds=10**6) as victim:
                await asyncio.sleep(rng.uniform(0.02, 0.3))
                victim.send_signal(signal.SIGKILL)
                victim.wait(5)

        assert survivor.stdout is not None
        hits, wrong, faults = map(int, survivor.stdout.read().split())

    assert hits > 1_000
    assert (0, 0) == (wrong, faults)
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        (count,) = connection.execute("SELECT count(*) FROM entries").fetchone()
        connection.execute("ROLLBACK")

    assert "ok" == verdict
    assert 0 < count <= KEYS
    with start(path, rounds=100) as successor:
        assert successor.stdout is not None
        hits, wrong, faults = map(int, successor.stdout.read().split())

    assert hits > 4_000
    assert (0, 0) == (wrong, faults)
