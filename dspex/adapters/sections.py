"""Finding `[[ ## name ## ]]` sections in a model's text, however it wrote the headers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("COMPLETED", "fold_name", "header", "split_sections")

COMPLETED: Final = "completed"
"""The name of the marker that ends an answer."""

_EXACT: Final = re.compile(r"^\[\[ ## (\w+) ## \]\]", re.MULTILINE)
# Every repetition is bounded: this runs over whatever a model wrote.
_LOOSE: Final = re.compile(
    r"\[\[?[ \t]{0,4}#{1,3}[ \t]{0,4}(\w[\w \t-]{0,80}?)[ \t]{0,4}#{0,3}[ \t]{0,4}\]\]?"
)


def header(name: str) -> str:
    """Return the line that begins a section."""
    return f"[[ ## {name} ## ]]"


def fold_name(name: str) -> str:
    """Return a name as it is compared: `Final Answer` and `final-answer` are `final_answer`."""
    return re.sub(r"[\s-]+", "_", name.strip()).casefold()


def split_sections(text: str, names: Mapping[str, str]) -> dict[str, str]:
    """Return the text of each section that is there, stripped; the first of equal ones counts.

    Args:
        text: the model's answer.
        names: the sections' names by their folded form.
    """
    found = _collect(_EXACT.split(text), names)
    return found if len(found) == len(names) else _split_loosely(text, names)


def _split_loosely(text: str, names: Mapping[str, str]) -> dict[str, str]:
    matches = [(fold_name(match[1]), match) for match in _LOOSE.finditer(text)]
    leading = {name for name, match in matches if _leads(text, match.start())}
    # A header inside a line is one only if none begins a line: a model may well talk about it.
    headers = [
        (name, match)
        for name, match in matches
        if name not in leading or _leads(text, match.start())
    ]
    parts = [""]
    for index, (name, match) in enumerate(headers):
        end = headers[index + 1][1].start() if index + 1 < len(headers) else len(text)
        parts += (names.get(name, name), text[match.end() : end])

    return _collect(parts, names)


def _collect(parts: list[str | Any], names: Mapping[str, str]) -> dict[str, str]:
    """Return the wanted sections from text, header, text, header, text, ..."""
    wanted = names.values()
    sections: dict[str, str] = {}
    for index in range(1, len(parts), 2):
        name = parts[index]
        # A field may be called like the end marker: then the second one is the marker.
        if name == COMPLETED and (name in sections or name not in wanted):
            break

        if name not in sections and name in wanted:
            sections[name] = parts[index + 1].strip()

    return sections


def _leads(text: str, index: int) -> bool:
    line_start = text.rfind("\n", 0, index) + 1
    return not text[line_start:index].strip(" \t*#>")
