"""The settings of the response cache."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from dspex.config.model import FrozenModel

__all__ = ("CacheSettings",)


class CacheSettings(FrozenModel):
    """The response cache: in memory, and on disk where a path is given.

    Attributes:
        path: a file on a local disk, shared by any number of processes of this machine; its folder
            is made. None: in memory only.
        max_bytes: bound of the memory of this process.
        disk_max_bytes: bound of the file; old entries make room.
        ttl_s: no answer older than so many seconds is used; None: they stay as long as there is
            room.
    """

    path: Path | None = None
    max_bytes: int = Field(default=256 * 1024 * 1024, ge=1)
    disk_max_bytes: int = Field(default=4 * 1024**3, ge=1024 * 1024)
    ttl_s: float | None = Field(default=None, gt=0)
