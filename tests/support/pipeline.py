"""The whole way of a call on a scripted provider: what the tests of its parts share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from dspex.clients.client import Client
from dspex.config import CacheSettings, ProviderSettings
from dspex.messages import (
    Message,
    Request,
)
from dspex.runtime import Runtime
from dspex.testing import FakeReply, FakeTransport

__all__ = ("answers", "ask", "at_rest", "chunk", "error_reply", "runtime_on")


def ask(text: str = "hi", **changes: Any) -> Request:
    return Request((Message("user", text),), **changes)


def error_reply(status: int, **headers: str) -> FakeReply:
    body = orjson.dumps({"error": {"message": f"status {status}", "type": "x", "code": None}})
    return FakeReply(status, body, headers=headers)


def runtime_on(transport: FakeTransport, *, cache: bool = False, **settings: Any) -> Runtime:
    provider = ProviderSettings(base_url="http://fake/v1", **settings)
    return Runtime(
        default="fake/model",
        providers={"fake": provider},
        session=transport.session,
        log="off",
        cache=CacheSettings() if cache else None,
    )


def answers(*replies: FakeReply | Exception) -> Callable[[dict[str, Any]], FakeReply | Exception]:
    """Return these in turn, and the last one for ever."""
    queue = list(replies)

    def answer(_: dict[str, Any]) -> FakeReply | Exception:
        return queue.pop(0) if len(queue) > 1 else queue[0]

    return answer


def at_rest(client: Client) -> bool:
    """Tell whether nothing of any call is left behind."""
    statistics = client.endpoint.statistics()
    quota = statistics.quota
    return statistics.in_flight == 0 and quota is not None and quota.waiting == 0


def chunk(text: str, **more: Any) -> bytes:
    delta = {"choices": [{"index": 0, "delta": {"content": text}, **more}]}
    return b"data: " + orjson.dumps(delta) + b"\n\n"
