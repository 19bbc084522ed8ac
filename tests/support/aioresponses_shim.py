"""Let aioresponses build responses for the aiohttp that the project needs.

Two things have come apart since aioresponses was released: a response now asks for the writer of
its request, and a body stream asks its parser, which a stub has not, to pause above a certain size.
`tests/test_aioresponses_shim.py` fails when the library no longer needs this.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aioresponses import core

__all__ = ("install",)

BODY_LIMIT = 1 << 30


class WriterlessResponse(aiohttp.ClientResponse):
    """A response to a request that nobody wrote to a socket."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("stream_writer", SimpleNamespace(output_size=0))
        super().__init__(*args, **options)


def roomy_reader(loop: asyncio.AbstractEventLoop) -> aiohttp.StreamReader:
    """Make a body stream that takes a stubbed body in one piece, whatever its size."""
    return aiohttp.StreamReader(ResponseHandler(loop=loop), limit=BODY_LIMIT, loop=loop)


def install(patch: Any) -> None:
    """Put both in place, for as long as `patch`, a `pytest.MonkeyPatch`, lasts."""
    patch.setattr(core, "ClientResponse", WriterlessResponse)
    patch.setattr(core, "stream_reader_factory", roomy_reader)
