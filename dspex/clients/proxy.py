"""Which proxy an endpoint's connections go through: decided once, not with every request."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from yarl import URL

if TYPE_CHECKING:
    from dspex.config import ProviderSettings

__all__ = ("proxy_for",)


def proxy_for(settings: ProviderSettings) -> URL | None:
    """Return the proxy for the provider's base URL; None goes straight there.

    With `trust_env` it comes from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, or from the
    system's settings where those are kept elsewhere.
    """
    given = settings.reveal_proxy()
    if given is not None:
        return URL(given)

    if not settings.trust_env:
        return None

    parts = urlsplit(settings.base_url or "")
    if urllib.request.proxy_bypass(parts.netloc):
        return None

    found = urllib.request.getproxies()
    url = found.get(parts.scheme) or found.get("all")
    return URL(url) if url else None
