"""The correlation id of a call as a header of its requests, for the logs of a gateway between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from dspex.effects import current

if TYPE_CHECKING:
    from types import SimpleNamespace

__all__ = ("correlation_tracing", "correlation_value")


def correlation_value() -> str | None:
    """Return the correlation id of the scope; None if there is none that a header can hold."""
    value = current().correlation_id
    return value if value and value.isascii() and value.isprintable() else None


def correlation_tracing(header: str | None) -> list[aiohttp.TraceConfig]:
    """Return what makes a session send `header` with each request; nothing for None.

    A request is sent in the task of its call, which is how its id is known. An id that no header
    can hold is left out.
    """
    if header is None:
        return []

    async def add(
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestStartParams,
    ) -> None:
        value = correlation_value()
        if value is not None:
            params.headers[header] = value

    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(add)
    return [tracing]
