"""A snapshot of a runtime."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.cache import CacheStatistics
    from dspex.clients.tally import EndpointStatistics

__all__ = ("RuntimeStatistics",)


@dataclass(frozen=True, slots=True)
class RuntimeStatistics:
    """One moment of a runtime: each endpoint that was used, and the cache, None while it is off."""

    _: KW_ONLY
    endpoints: Mapping[str, EndpointStatistics]
    cache: CacheStatistics | None
