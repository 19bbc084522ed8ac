"""Keep the suite on this machine: a connection to anywhere but loopback is refused, loudly."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

__all__ = ("BannedNetworkError", "ban")

LOCAL_NAMES = frozenset({"", "localhost", "ip6-localhost", "0.0.0.0", "::"})


class BannedNetworkError(RuntimeError):
    """A test reached for the network.

    Not an OSError: code under test would take that for an outage and retry, or fail over.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}: tests talk to loopback only; use the sandbox server, aioresponses or a fake"
        )


def ban(patch: Any) -> None:
    """Guard sockets and name resolution, for as long as `patch`, a `pytest.MonkeyPatch`, lasts."""
    for method in ("connect", "connect_ex"):
        patch.setattr(socket.socket, method, _guarded_connect(getattr(socket.socket, method)))

    patch.setattr(socket, "getaddrinfo", _guarded_lookup(socket.getaddrinfo))


def _guarded_connect(original: Any) -> Any:
    def connect(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
            raise BannedNetworkError(f"connect({address!r})")

        return original(self, address)

    return connect


def _guarded_lookup(original: Any) -> Any:
    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        if not _is_local(host):
            raise BannedNetworkError(f"getaddrinfo({host!r})")

        return original(host, *args, **options)

    return getaddrinfo


def _is_local(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host or ""
    if name in LOCAL_NAMES:
        return True

    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
