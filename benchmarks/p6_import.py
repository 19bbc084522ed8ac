"""P6: what `import dspex` costs over `import aiohttp`, each in interpreters of its own.

Public names are loaded when they are first used, which makes the bare import cheap and moves the
rest to the first use; so what all public names cost together is shown as well. An audit hook
watches that the import opens no socket and no file but modules.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any, Final

from benchmarks.figures import Aim, Figure
from benchmarks.measuring import Pairs, span_of
from benchmarks.settings import ROOT, Setting

__all__ = ("measure_aim",)

_AIM = Aim("<=", 0.8)
_PAIRS = 15
_QUICK_PAIRS = 5
_SHOWN = 25

_TIMED: Final = """
import time
wall_s, cpu_s = time.perf_counter(), time.process_time()
{code}
print(time.perf_counter() - wall_s, time.process_time() - cpu_s)
"""

_ALL_NAMES: Final = "import dspex\nfor name in dir(dspex): getattr(dspex, name)"

_WATCHED: Final = """
import json, sys
seen = {"files": [], "network": [], "modules": []}
before = set(sys.modules)
def watch(event, args):
    if event == "open" and isinstance(args[0], str):
        if not args[0].endswith((".py", ".pyc", ".so", ".pth")):
            seen["files"].append(args[0])
    elif event in ("socket.connect", "socket.getaddrinfo", "socket.bind", "subprocess.Popen"):
        seen["network"].append(event)
sys.addaudithook(watch)
import dspex
seen["modules"] = sorted(set(sys.modules) - before)
print(json.dumps(seen))
"""


async def measure_aim(setting: Setting) -> list[Figure]:
    """Measure P6."""
    pairs = _QUICK_PAIRS if setting.quick else _PAIRS
    plain = await _in_turns("import aiohttp", "import dspex", pairs)
    loaded = await _in_turns("import aiohttp", _ALL_NAMES, pairs)
    if setting.verbose:
        print(await _breakdown())

    return [
        _figure("import dspex", plain, _AIM, notes=(_words(await _watched()),)),
        _figure("import dspex and load every public name", loaded, None),
    ]


def _figure(what: str, pairs: Pairs, aim: Aim | None, notes: tuple[str, ...] = ()) -> Figure:
    return Figure(
        "P6",
        f"{what}, CPU of a fresh interpreter",
        pairs.ratio,
        "x",
        aim,
        reference=f"import aiohttp {span_of(pairs.reference).median * 1e3:.0f} ms",
        subject=f"{span_of(pairs.subject).median * 1e3:.0f} ms",
        samples={"reference_s": pairs.reference, "subject_s": pairs.subject},
        notes=notes,
    )


async def _in_turns(reference: str, subject: str, pairs: int) -> Pairs:
    theirs: list[float] = []
    ours: list[float] = []
    for number in range(pairs + 1):
        other, own = await _import_s(reference), await _import_s(subject)
        if number:  # the first pair writes bytecode and warms the file cache
            theirs.append(other)
            ours.append(own)

    return Pairs(tuple(theirs), tuple(ours))


async def _import_s(code: str) -> float:
    """Return the CPU seconds that `code` takes in an interpreter of its own."""
    said, _ = await _python("-c", _TIMED.format(code=code))
    _, cpu_s = said.split()
    return float(cpu_s)


async def _watched() -> dict[str, Any]:
    said, _ = await _python("-c", _WATCHED)
    return dict(json.loads(said))


def _words(seen: dict[str, Any]) -> str:
    files = ", ".join(seen["files"]) or "none"
    network = ", ".join(seen["network"]) or "none"
    return (
        f"`import dspex` loads {len(seen['modules'])} modules; files opened that are no modules: "
        f"{files}; sockets and processes: {network}"
    )


async def _breakdown() -> str:
    """Return the slowest imports below `import dspex` with every name, by their own time."""
    _, said = await _python("-X", "importtime", "-c", _ALL_NAMES)
    rows = [line.removeprefix("import time:").split("|") for line in said.splitlines()]
    timed = [(int(row[0]), row[2].strip()) for row in rows if row[0].strip().isdigit()]
    slowest = sorted(timed, reverse=True)[:_SHOWN]
    return "\n".join(["own us  module", *(f"{own:6d}  {name}" for own, name in slowest)])


async def _python(*arguments: str) -> tuple[str, str]:
    """Run this interpreter on the checkout; return what it printed, and its errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    out, err = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{arguments[-1]!r} failed:\n{err.decode()}")

    return out.decode(), err.decode()
