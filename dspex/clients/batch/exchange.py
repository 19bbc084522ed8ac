"""Requests to the batch interface: through the endpoint's connections, with its retries."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from dspex.clients.failures.classify import classify_response
from dspex.clients.failures.faults import NETWORK_ERRORS, classify_exception
from dspex.errors import ErrorData, ErrorKind, ProviderError, ProviderTimeout, to_exception

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from dspex.clients.endpoint import Endpoint
    from dspex.clients.transport import Reply, ReplyContext

__all__ = ("exchange", "read_lines")

_MAY_RAISE: Final[tuple[type[Exception], ...]] = (*NETWORK_ERRORS, RuntimeError)
_BYTES_PER_S: Final = 1_000_000
_SUCCESS: Final = range(200, 300)


async def exchange(
    endpoint: Endpoint,
    method: str,
    path: str,
    body: bytes = b"",
    content_type: str = "application/json",
    *,
    retries: bool = True,
) -> bytes:
    """Return the body of a good answer; failures that pass are repeated as those of calls are.

    Raises:
        ProviderError: the last try's.
    """
    limit_s = endpoint.settings.attempt_timeout_s + len(body) / _BYTES_PER_S
    began, failures = endpoint.clock(), 0
    while True:
        try:
            return await _once(endpoint, method, path, body, content_type, limit_s)
        except ProviderError as exc:
            failures += 1
            left_s = endpoint.settings.call_timeout_s - (endpoint.clock() - began)
            decision = endpoint.policy.decide(
                exc.data, failures=failures, time_left_s=left_s, rng=endpoint.rng
            )
            if not (retries and decision.retry):
                raise

            await asyncio.sleep(decision.delay_s)


async def read_lines(endpoint: Endpoint, path: str) -> AsyncGenerator[bytes, None]:
    """Yield the lines of an answer that may be larger than the memory should hold.

    Raises:
        ProviderError: it broke off, or was none.
    """
    transport = endpoint.live_transport or await endpoint.transport()
    limit_s = endpoint.settings.attempt_timeout_s
    async with transport.gate:
        request = transport.request("GET", path)
        try:
            with endpoint.deadlines.timeout(limit_s) as block:
                async with request as reply:
                    await _require_success(endpoint, reply)
                    rest = b""
                    async for chunk in reply.chunks():
                        block.renew()
                        *lines, rest = (rest + chunk).split(b"\n")
                        for line in lines:
                            if line.strip():
                                yield line

                    if rest.strip():
                        yield rest

        except TimeoutError as exc:
            raise _too_slow(endpoint, path, limit_s) from exc
        except _MAY_RAISE as exc:
            raise _broken(endpoint, exc, request) from exc


async def _once(
    endpoint: Endpoint, method: str, path: str, body: bytes, content_type: str, limit_s: float
) -> bytes:
    transport = endpoint.live_transport or await endpoint.transport()
    async with transport.gate:
        request = transport.request(method, path, body, content_type)
        try:
            with endpoint.deadlines.timeout(limit_s):
                async with request as reply:
                    await _require_success(endpoint, reply)
                    return await reply.read()

        except TimeoutError as exc:
            raise _too_slow(endpoint, path, limit_s) from exc
        except _MAY_RAISE as exc:
            raise _broken(endpoint, exc, request) from exc


async def _require_success(endpoint: Endpoint, reply: Reply) -> None:
    if reply.status not in _SUCCESS:
        body = await reply.read()
        raise to_exception(
            classify_response(reply.status, reply.headers, body, provider=endpoint.name, model="")
        )


def _broken(endpoint: Endpoint, exc: Exception, request: ReplyContext) -> ProviderError:
    data = classify_exception(
        exc, provider=endpoint.name, model="", stage="batch", reused=request.reused
    )
    return to_exception(data)


def _too_slow(endpoint: Endpoint, path: str, limit_s: float) -> ProviderTimeout:
    return ProviderTimeout(
        ErrorData(
            ErrorKind.TIMEOUT,
            f"{path} took longer than {limit_s:g} s",
            provider=endpoint.name,
            stage="batch",
        )
    )
