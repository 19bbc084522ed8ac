"""Serve the sandbox model on loopback: `python -m dspex.sandbox`.

Prints one JSON line with its port once it listens, then nothing. Ends when its standard input ends,
so that it cannot outlive the process that started it; `--stay` keeps it up until a signal.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
import json
import os
import signal
import stat
import sys
from typing import TYPE_CHECKING, Final

from aiohttp import web

from dspex.errors import SandboxError
from dspex.sandbox.app import create_app
from dspex.sandbox.listening import Door
from dspex.sandbox.model import MODEL_ID
from dspex.sandbox.script import Script, known_keys

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("main",)

_KEEPALIVE_S: Final = 3600.0
_SHUTDOWN_S: Final = 0.1
_GC_THRESHOLD: Final = 50_000
_DESCRIPTION: Final = """\
Serve a stand-in classifier, not a language model, as five providers would:
  POST /v1/chat/completions, /v1/responses, /v1/messages, /v2/chat and
       /v1beta/models/{model}:generateContent, :streamGenerateContent
  POST /v1/embeddings, /v2/embed, /v1beta/models/{model}:batchEmbedContents
  /v1/files and /v1/batches, /v1/messages/batches
  GET  /v1/models, /health, /stats (DELETE sets it back), /script (POST installs one)
  POST /pause, /resume, /refuse {"for_s": 1.5}"""
_EPILOG: Final = f"""\
keys of a script, all of them optional: {", ".join(known_keys())}
example: --script '{{"latency": {{"median_s": 0.2}}, "faults": {{"overloaded": 0.1}}}}'"""


def main() -> int:
    """Run the server until its standard input ends or a signal comes; return the exit code."""
    options = _parser().parse_args()
    try:
        script = Script.from_json(options.script)
    except SandboxError as exc:
        print(f"dspex.sandbox: --script: {exc}", file=sys.stderr)  # noqa: T201 - a command's output
        return 2

    _raise_open_file_limit()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            return runner.run(_serve(options, script))
        except SandboxError as exc:
            print(f"dspex.sandbox: {exc}", file=sys.stderr)  # noqa: T201 - as above
            return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dspex.sandbox",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port; 0 takes a free one")
    parser.add_argument("--script", default="{}", help="how it behaves, as JSON; see below")
    parser.add_argument("--model-seed", type=int, default=0, help="seed of requests without one")
    parser.add_argument("--stay", action="store_true", help="do not end with standard input")
    return parser


async def _serve(options: argparse.Namespace, script: Script) -> int:
    """Listen, say so, and wait for the end."""
    door = Door(options.host)
    app = create_app(script=script, model_seed=options.model_seed, refuse=door.refuse)
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,
        keepalive_timeout=_KEEPALIVE_S,
        shutdown_timeout=_SHUTDOWN_S,
    )
    await runner.setup()
    try:
        port = await door.open(runner, options.port)
        ended = await _listen_for_end(watch_stdin=not options.stay)
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD, 20, 100)
        print(json.dumps({"port": port, "model": MODEL_ID}), flush=True)  # noqa: T201 - as above
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(door.run(), name="sandbox door")
            try:
                return await ended
            finally:
                keeper.cancel()
    finally:
        await runner.cleanup()


class _UntilClosed(asyncio.Protocol):
    """Call back when the other end of a pipe is closed."""

    def __init__(self, closed: Callable[[], None]) -> None:
        self._closed = closed

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end; what was written to the pipe before is ignored."""
        self._closed()


async def _listen_for_end(*, watch_stdin: bool) -> asyncio.Future[int]:
    """Return what resolves to the exit code: on a signal, or when a watched input ends."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def end(exit_code: int) -> None:
        if not ended.done():
            ended.set_result(exit_code)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, 128 + number)

    if watch_stdin:
        _require_closable_stdin()
        await loop.connect_read_pipe(lambda: _UntilClosed(lambda: end(0)), sys.stdin)

    return ended


def _require_closable_stdin() -> None:
    """Refuse a standard input that never reports its end: a file, or the null device."""
    mode = os.fstat(sys.stdin.fileno()).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or sys.stdin.isatty()):
        raise SandboxError("the end of standard input cannot be watched; give a pipe, or --stay")


def _raise_open_file_limit() -> None:
    """Allow as many connections as the system lets this process have."""
    if importlib.util.find_spec("resource") is None:
        return

    resource = importlib.import_module("resource")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop when it is installed, else None for asyncio's own."""
    if importlib.util.find_spec("uvloop") is None:
        return None

    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module(
        "uvloop"
    ).new_event_loop
    return factory


if __name__ == "__main__":
    sys.exit(main())
