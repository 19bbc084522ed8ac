"""Turn what sending and reading raised into one `ErrorData`: a table over exception types."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import sys
from typing import Final, NamedTuple

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from dspex.errors import ErrorData, ErrorKind, ProviderError

__all__ = ("NETWORK_ERRORS", "classify_exception")

NETWORK_ERRORS: Final[tuple[type[Exception], ...]] = (
    aiohttp.ClientError,
    HttpProcessingError,
    OSError,
    asyncio.IncompleteReadError,
)
"""What sending and reading may raise; `TimeoutError` is an `OSError`."""

_BEFORE_FIRST_BYTE: Final = frozenset({"send", "first byte"})
_DISCONNECTED: Final = "disconnected"
_CERTIFICATE: Final = "certificate"
_NO_CONNECTION: Final = frozenset({"dns", "tls", "connect", _CERTIFICATE})


class _Fault(NamedTuple):
    types: tuple[type[Exception], ...]
    kind: ErrorKind
    code: str


# The first line that fits decides, so that subclasses stand above what they derive from.
_FAULTS: Final = (
    _Fault((TimeoutError,), ErrorKind.TIMEOUT, "timeout"),
    _Fault((aiohttp.ClientConnectorDNSError, socket.gaierror), ErrorKind.TRANSPORT, "dns"),
    _Fault(
        (
            aiohttp.ClientConnectorCertificateError,
            aiohttp.ServerFingerprintMismatch,
            ssl.SSLCertVerificationError,
        ),
        ErrorKind.TRANSPORT,
        _CERTIFICATE,
    ),
    _Fault((aiohttp.ClientSSLError, ssl.SSLError), ErrorKind.TRANSPORT, "tls"),
    _Fault((aiohttp.ClientConnectorError,), ErrorKind.TRANSPORT, "connect"),
    _Fault(
        (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), ErrorKind.INVALID_REQUEST, "bad_url"
    ),
    _Fault(
        (aiohttp.ClientPayloadError, asyncio.IncompleteReadError), ErrorKind.PROTOCOL, "truncated"
    ),
    _Fault((aiohttp.ClientResponseError, HttpProcessingError), ErrorKind.PROTOCOL, "bad_http"),
    _Fault(
        (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError),
        ErrorKind.TRANSPORT,
        _DISCONNECTED,
    ),
    # "Connector is closed": the pool went away under the call, and its successor is coming.
    _Fault((aiohttp.ClientConnectionError,), ErrorKind.ENDPOINT, "closed"),
    _Fault((aiohttp.ClientError, OSError), ErrorKind.TRANSPORT, "network"),
)


def classify_exception(
    exc: Exception, *, provider: str, model: str, stage: str, reused: bool = True
) -> ErrorData:
    """Say what an exception of sending or reading means.

    Args:
        exc: one of `NETWORK_ERRORS`, or a `ProviderError`, whose data come back unchanged.
        provider: for the message.
        model: for the message.
        stage: what was under way: "connect", "send", "first byte", "body", ... A connection that
            breaks in "send" or "first byte" may have been closed by the server while it was idle in
            the pool, and is marked as stale.
        reused: whether the connection came from the pool: one that was new is never stale.

    Raises:
        Exception: `exc` itself when it is none of these: a bug is not an outage.
    """
    if isinstance(exc, ProviderError):
        return exc.data

    if isinstance(exc, aiohttp.ConnectionTimeoutError):
        stage = "connect"

    kind, code, message = _closed_session(exc) or _exhausted(exc) or _looked_up(exc, stage)
    if code in _NO_CONNECTION:
        stage = "connect"

    return ErrorData(
        kind,
        message,
        provider=provider,
        model=model,
        code=code,
        stage=stage,
        stale_socket=reused and code == _DISCONNECTED and stage in _BEFORE_FIRST_BYTE,
        # The next handshake shows the same certificate.
        should_retry=False if code == _CERTIFICATE else None,
    )


def _looked_up(exc: Exception, stage: str) -> tuple[ErrorKind, str, str]:
    for fault in _FAULTS:
        if isinstance(exc, fault.types):
            return fault.kind, fault.code, _message(exc, fault.kind, stage)

    raise exc


def _message(exc: Exception, kind: ErrorKind, stage: str) -> str:
    said = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
    return f"timed out in {stage} ({said})" if kind is ErrorKind.TIMEOUT else said


def _closed_session(exc: Exception) -> tuple[ErrorKind, str, str] | None:
    # aiohttp has no type for this one.
    if isinstance(exc, RuntimeError) and "closed" in str(exc):
        return ErrorKind.ENDPOINT, "closed", f"the connection pool was closed meanwhile ({exc})"

    return None


def _exhausted(exc: Exception) -> tuple[ErrorKind, str, str] | None:
    number = _errno(exc)
    if number is None:
        return None

    if number in (errno.EMFILE, errno.ENFILE):
        message = (
            f"no file descriptor is left for a connection: {_open_file_limit(number)}; lower "
            f"max_connections, or raise the limit (`ulimit -n`)"
        )
    elif number == errno.EADDRNOTAVAIL:
        message = (
            "no local port is left for a connection to this address (EADDRNOTAVAIL); lower "
            "max_connections, or widen net.ipv4.ip_local_port_range"
        )
    else:
        return None

    return ErrorKind.POOL, errno.errorcode[number], message


def _errno(exc: Exception) -> int | None:
    inner = getattr(exc, "os_error", None)
    number = getattr(inner, "errno", None) or getattr(exc, "errno", None)
    return number if isinstance(number, int) else None


def _open_file_limit(number: int) -> str:
    if number == errno.ENFILE or sys.platform == "win32":
        return "the system has reached its limit of open files (ENFILE)"

    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"this process has reached its limit of {soft} open files (EMFILE)"
