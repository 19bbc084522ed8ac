"""Values as people read them on a page: clipped, escaped, and with what changed marked."""

from __future__ import annotations

import json
import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, Final

from dspex.evaluation.reports.markup import Html, join, tag
from dspex.evaluation.text import excerpt
from dspex.signatures.encoding import to_jsonable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("against", "plain", "short", "shown")

_LONGEST: Final = 2_000
_MOST_WORDS: Final = 400
_ALIKE: Final = 0.4
_WORDS: Final = re.compile(r"\S+\s*|\s+")


def plain(value: Any) -> str:
    """Return a value as text: texts as they are, the rest as JSON or as Python shows it."""
    if isinstance(value, str):
        return value

    try:
        return json.dumps(to_jsonable(value), ensure_ascii=False, indent=1)
    except (TypeError, ValueError, RecursionError):
        return _represented(value)


def short(value: Any, width: int = 110) -> str:
    """Return a value on one line."""
    return excerpt(plain(value)[: 10 * width], width)


def shown(value: Any, *, bad: bool = False) -> Html:
    """Return a value in a box, cut where it gets too long."""
    return _boxed(_clipped(plain(value)), bad=bad)


def against(expected: Any, predicted: Any) -> tuple[Html, Html]:
    """Return both values in boxes, with the words marked that only one of them has.

    Texts that have little in common are shown as they are: marks all over say nothing.
    """
    left, right = plain(expected), plain(predicted)
    ours, theirs = _WORDS.findall(left), _WORDS.findall(right)
    if max(len(ours), len(theirs)) > _MOST_WORDS or min(len(ours), len(theirs)) < 3:
        return shown(expected), shown(predicted)

    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    if matcher.ratio() < _ALIKE:
        return shown(expected), shown(predicted)

    opcodes = matcher.get_opcodes()
    first = join(*(_marked("ins", op, ours[a:b]) for op, a, b, _, _ in opcodes))
    second = join(*(_marked("del", op, theirs[a:b]) for op, _, _, a, b in opcodes))
    return _boxed(first), _boxed(second)


def _marked(name: str, operation: str, words: list[str]) -> Html:
    text = "".join(words)
    return join(text) if operation == "equal" or not text else tag(name, text)


def _boxed(content: Html | str, *, bad: bool = False) -> Html:
    return tag("div", content or "(empty)", class_="value bad" if bad else "value")


def _clipped(text: str) -> Html:
    if len(text) <= _LONGEST:
        return join(text)

    return join(*_with_rest(text))


def _with_rest(text: str) -> Iterator[Html]:
    yield join(text[:_LONGEST], "\n")
    yield tag("span", f"… {len(text) - _LONGEST:,} more characters", class_="label")


def _represented(value: Any) -> str:
    try:
        return repr(value)
    except Exception as exc:  # one value that cannot be shown must not cost the page
        return f"<cannot be shown: {type(exc).__name__}>"
