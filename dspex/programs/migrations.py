"""Files of older versions, step by step to the layout of today."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from importlib import metadata
from types import MappingProxyType
from typing import Any, Final, TypeAlias

__all__ = ("FILE_MARK", "FILE_SCHEMA", "MIGRATIONS", "Document", "made_with", "migrated")

FILE_MARK: Final = "dspex_program"
"""The key that makes a file ours; it holds the version of the layout."""

FILE_SCHEMA: Final = 2
"""The version of the layout that is written.

1. Program, state and provenance.
2. `made_with` says which versions wrote the file.
"""

Document: TypeAlias = Mapping[str, Any]
"""The JSON object of a file."""


def _add_made_with(document: Document) -> Document:
    return {**document, "made_with": None}


MIGRATIONS: Final[Mapping[int, Callable[[Document], Document]]] = MappingProxyType(
    {1: _add_made_with}
)
"""What makes a document of one version a document of the next."""


def migrated(document: Document) -> Document:
    """Return a document of any version up to today's in the layout of today."""
    for version in range(document[FILE_MARK], FILE_SCHEMA):
        document = {**MIGRATIONS[version](document), FILE_MARK: version + 1}

    return document


def made_with() -> dict[str, str | None]:
    """Return the versions that write a file; None for a dspex that runs from its sources."""
    try:
        own = metadata.version("dspex")
    except metadata.PackageNotFoundError:
        own = None

    return {"dspex": own, "python": platform.python_version()}
