"""What the cache tells about itself."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dspex.cache.disk.store import DiskStatistics

__all__ = ("CacheStatistics",)


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """What the cache holds in memory and how often it helped, by level.

    `misses` are lookups that no level answered; `shared` counts those of them that were answered by
    an equal call under way. `disk` is None while there is no disk level.
    """

    _: KW_ONLY
    entries: int
    size_bytes: int
    memory_hits: int
    disk_hits: int
    misses: int
    shared: int
    disk: DiskStatistics | None = None

    @property
    def hits(self) -> int:
        """Lookups that a level answered."""
        return self.memory_hits + self.disk_hits
