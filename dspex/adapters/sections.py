"""Finding `[[ ## name ## ]]` sections in a model's text, however it wrote the headers.

A header begins its line. One inside a line counts only if none of that name begins a line, for a
model may well talk about its headers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

__all__ = (
    "COMPLETED",
    "Header",
    "fold_name",
    "folded_names",
    "header",
    "inline_headers",
    "leading_headers",
    "may_become_header",
    "split_sections",
)

COMPLETED: Final = "completed"
"""The name of the marker that ends an answer."""

# Every repetition is bounded: this runs over whatever a model wrote.
_BODY: Final = (
    r"\[\[?[ \t]{0,4}#{1,3}[ \t]{0,4}(\w[\w \t-]{0,80}?)[ \t]{0,4}#{0,3}[ \t]{0,4}\]\]?(?:\*\*|__)?"
)
_EXACT: Final = re.compile(r"^\[\[ ## (\w+) ## \]\](?![*_])", re.MULTILINE)
_LEADING: Final = re.compile(rf"^[ \t*#>]{{0,8}}{_BODY}", re.MULTILINE)
_INLINE: Final = re.compile(_BODY)
_PARTIAL: Final = re.compile(
    r"""(?:^[ \t*#>]{0,8})?
    \[(?:\[?(?:[ \t]{0,4}(?:\#{1,3}(?:[ \t]{0,4}
    (?:\w[\w \t-]{0,88}(?:\#{0,3}(?:[ \t]{0,4}(?:\]\]?[*_]?)?)?)?)?)?)?)?)?\Z
    |^[ \t*#>]{1,8}\Z""",
    re.MULTILINE | re.VERBOSE,
)
_HALF: Final = re.compile(
    r"(?:\A|\n)[ \t]*\[(?:\[(?: ?(?:\#{1,2}(?: ?(?:\w{0,80}(?: (?:\#{0,2}(?: ?\]?)?)?)?)?)?)?)?)?\Z"
)
_LONGEST: Final = 120


@dataclass(frozen=True, slots=True)
class Header:
    """A header in a text: the field it begins (or the marker, or a stranger), and its place."""

    name: str
    start: int
    end: int


def header(name: str) -> str:
    """Return the line that begins a section."""
    return f"[[ ## {name} ## ]]"


def fold_name(name: str) -> str:
    """Return a name as it is compared: `Final Answer` and `final-answer` are `final_answer`."""
    return re.sub(r"[\s-]+", "_", name.strip()).casefold()


def folded_names(names: Iterable[str]) -> dict[str, str]:
    """Return names by their folded form; by themselves if that would make two of them one."""
    exact = list(names)
    folded = {fold_name(name): name for name in exact}
    return folded if len(folded) == len(exact) else {name: name for name in exact}


def split_sections(text: str, names: Mapping[str, str]) -> dict[str, str]:
    """Return the text of each section that is there, stripped; the first of equal ones counts.

    Args:
        text: the model's answer.
        names: the sections' names by their folded form.
    """
    parts = _EXACT.split(text)
    if text.count("#") == 2 * (len(parts) - 1):  # four to a header: there can be no other
        return _collect(parts, names)

    headers = list(leading_headers(text, names))
    leading = {found.name for found in headers}
    missing = {*names.values(), COMPLETED} - leading
    if missing:
        headers += inline_headers(text, names, missing)
        headers.sort(key=lambda found: found.start)

    parts = [""]
    for found, following in zip_longest(headers, headers[1:]):
        parts += (found.name, text[found.end : following.start if following else None])

    return _collect(parts, names)


def leading_headers(text: str, names: Mapping[str, str], start: int = 0) -> Iterator[Header]:
    """Yield the headers that begin a line from `start` on, those of unknown fields included."""
    for match in _LEADING.finditer(text, start):
        written = match[1]
        name = names.get(written) or _known(written, names)
        if name is None and header(written) in match[0]:
            name = written

        if name is not None:
            yield Header(name, match.start(), match.end())


def inline_headers(
    text: str, names: Mapping[str, str], wanted: Collection[str], start: int = 0
) -> Iterator[Header]:
    """Yield the headers of the wanted names, wherever in a line they stand."""
    for match in _INLINE.finditer(text, start):
        name = names.get(match[1]) or _known(match[1], names)
        if name is not None and name in wanted:
            yield Header(name, match.start(), match.end())


def may_become_header(text: str, start: int) -> int:
    """Return from where on the text may end in half a header; its length if it does not."""
    found = _PARTIAL.search(text, max(start, len(text) - _LONGEST))
    return found.start() if found else len(text)


def _collect(parts: Sequence[str | Any], names: Mapping[str, str]) -> dict[str, str]:
    """Return the wanted sections from text, name, text, name, text, ..."""
    wanted = names.values()
    sections: dict[str, str] = {}
    for index in range(1, len(parts), 2):
        written = parts[index]
        name = written if written in wanted else _known(written, names)
        # A field may be called like the end marker: then the second one is the marker.
        if name == COMPLETED and (name in sections or name not in wanted):
            break

        if name is not None and name not in sections:
            sections[name] = parts[index + 1].strip()
            if index + 2 == len(parts):  # the answer may have broken off inside the next header
                sections[name] = _HALF.sub("", sections[name]).rstrip()

    return sections


def _known(written: str, names: Mapping[str, str]) -> str | None:
    folded = COMPLETED if written == COMPLETED else fold_name(written)
    return names.get(folded) or (COMPLETED if folded == COMPLETED else None)
