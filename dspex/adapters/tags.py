"""Finding `<name>` tags in a model's text, which is no XML: `<` and `&` in it are what they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from dspex.adapters.sections import fold_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ("Tag", "closing_tag", "may_become_tag", "next_tag", "split_tags")

_PARTIAL: Final = re.compile(r"<[ \t]{0,4}/?[ \t]{0,4}[\w \t-]{0,88}(?:\s[^<>]{0,100})?\Z")
_HALF: Final = re.compile(r"(?:</\w{0,80}|^</?\w{0,80})\s*\Z", re.MULTILINE)
_LONGEST: Final = 220


@dataclass(frozen=True, slots=True)
class Tag:
    """An opening tag of a field and its place."""

    name: str
    start: int
    end: int


def split_tags(text: str, names: Mapping[str, str]) -> dict[str, str]:
    """Return the text in the tags of each field, stripped; the first of equal ones counts.

    A field ends at its closing tag; where that is missing, at the opening tag of another field that
    is still to come, or at the end.
    """
    sections: dict[str, str] = {}
    at = 0
    while (tag := next_tag(text, names, sections, at)) is not None:
        closing = closing_tag(text, tag.name, tag.end)
        if closing is not None:
            end, at = closing
        else:
            following = next_tag(text, names, {**sections, tag.name: ""}, tag.end)
            end = at = following.start if following else _without_half_tag(text)

        sections[tag.name] = text[tag.end : end].strip()

    return sections


def next_tag(text: str, names: Mapping[str, str], seen: Iterable[str], start: int) -> Tag | None:
    """Return the next opening tag of a field that was not seen yet."""
    taken = set(seen)
    for match in _opening(tuple(names)).finditer(text, start):
        name = names.get(match[1]) or names.get(fold_name(match[1]))
        if name is not None and name not in taken:
            return Tag(name, match.start(), match.end())

    return None


def closing_tag(text: str, name: str, start: int) -> tuple[int, int] | None:
    """Return where the first closing tag of a field begins and ends; None if there is none."""
    for match in _closing(name).finditer(text, start):
        return match.start(), match.end()

    return None


def may_become_tag(text: str, start: int) -> int:
    """Return from where on the text may end in half a tag; its length if it does not."""
    found = _PARTIAL.search(text, max(start, len(text) - _LONGEST))
    return found.start() if found else len(text)


def _without_half_tag(text: str) -> int:
    """Return where a text ends if it broke off inside a tag."""
    found = _HALF.search(text, max(0, len(text) - _LONGEST))
    return found.start() if found else len(text)


@lru_cache(maxsize=256)
def _opening(names: tuple[str, ...]) -> re.Pattern[str]:
    either = "|".join(map(_spelled, names)) or r"(?!)"
    return re.compile(rf"<[ \t]{{0,4}}({either})(?:\s[^<>]{{0,100}})?>", re.IGNORECASE)


@lru_cache(maxsize=256)
def _closing(name: str) -> re.Pattern[str]:
    return re.compile(rf"<[ \t]{{0,4}}/[ \t]{{0,4}}{_spelled(name)}[ \t]{{0,4}}>", re.IGNORECASE)


def _spelled(name: str) -> str:
    return re.escape(name).replace("_", r"[_ \t-]{1,3}")
