"""HTML that is safe by construction: whatever is not made here is text, and is escaped.

What models answer is hostile until proven otherwise, and a report is full of it.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("Child", "Html", "join", "page", "tag")

_EMPTY: Final = frozenset({"meta", "br", "rect", "line", "path", "circle"})
_CONTROL: Final = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_BIDI: Final = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
_REPLACEMENT: Final = "\ufffd"

_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)


class Html(str):
    """Markup that may stand in a page as it is; only this module makes it."""

    __slots__ = ()


Child: TypeAlias = "str | Html | Iterable[Child] | None"
"""What may stand in an element; None is nothing, and a plain text is escaped."""


def tag(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Html:
    """Return an element.

    Attributes are written with "-" for "_" and without a last "_", as in `class_`; None and False
    leave one out, True gives one without a value.
    """
    shown = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _EMPTY:
        return Html(f"<{name}{shown}/>" if name not in ("meta", "br") else f"<{name}{shown}>")

    return Html(f"<{name}{shown}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Return children one after another."""
    return Html("".join(map(_rendered, children)))


def page(title: str, style: str, *body: Child) -> Html:
    """Return a whole document that loads nothing and runs nothing.

    Args:
        title: of the window.
        style: a style sheet of ours.
        body: what is on the page.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", Html(style)),
    )
    return Html(f"<!doctype html>\n{tag('html', head, tag('body', *body), lang='en')}\n")


def _attribute(key: str, value: str | int | float | bool | None) -> str:
    if value is None or value is False:
        return ""

    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"

    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f' {name}="{_escaped(text)}"'


def _rendered(child: Child) -> str:
    if child is None:
        return ""

    if isinstance(child, Html):
        return child

    if isinstance(child, str):
        return _escaped(child)

    return join(*child)


def _escaped(text: str) -> str:
    """Return `text` as HTML; control characters are shown as such, and so is what turns text."""
    visible = _BIDI.sub(lambda mark: f"\\u{ord(mark[0]):04x}", text)
    return escape(_CONTROL.sub(_REPLACEMENT, visible), quote=True)
