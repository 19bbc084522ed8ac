"""What a Google-style docstring says of a function and of its arguments."""

from __future__ import annotations

import inspect
import re
from typing import Final

__all__ = ("read_docstring",)

_SECTION: Final = re.compile(
    r"^(args|arguments|parameters|params|keyword args|keyword arguments|other parameters|returns?|"
    r"yields?|raises?|examples?|notes?|warnings?|attributes|see also|references|todo):\s*$",
    re.IGNORECASE,
)
_ARGUMENTS: Final = frozenset(
    {
        "args",
        "arguments",
        "parameters",
        "params",
        "keyword args",
        "keyword arguments",
        "other parameters",
    }
)
_ARGUMENT: Final = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")


def read_docstring(docstring: str | None) -> tuple[str, dict[str, str]]:
    """Return the description, which is all before the first section, and each argument's.

    Any text is taken; what has no sections is description.
    """
    description: list[str] = []
    arguments: list[str] = []
    place = description
    for line in inspect.cleandoc(docstring or "").splitlines():
        section = _SECTION.match(line)
        if section is not None:
            place = arguments if section[1].lower() in _ARGUMENTS else []
        else:
            place.append(line)

    return "\n".join(description).strip(), _arguments(arguments)


def _arguments(lines: list[str]) -> dict[str, str]:
    """Read a section's entries; what is indented deeper goes on with the one before."""
    found: dict[str, list[str]] = {}
    depth: int | None = None
    current: list[str] = []
    for line in lines:
        text = line.strip()
        if not text:
            continue

        indent = len(line) - len(line.lstrip())
        depth = indent if depth is None else depth
        entry = _ARGUMENT.match(text) if indent <= depth else None
        if entry is not None:
            current = found[entry[1]] = [entry[2]]
        else:
            current.append(text)

    return {name: " ".join(filter(None, words)) for name, words in found.items()}
