"""Finding, freezing and exchanging the parts of a value."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from dspex.programs.tree import exchange, freeze, parts, walk


class Node:
    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


A, B, C = Node(), Node(), Node()


def test_parts_are_named_by_their_place() -> None:
    """Plain, in lists and tuples, in dicts, nested; nothing private, nothing else."""
    attributes = {
        "plain": A,
        "items": [A, 3, (B,)],
        "table": {"x": A, 1: [C]},
        "_hidden": A,
        "other": "text",
        "group": {A},
    }

    assert [path for path, _ in parts(attributes, Node)] == [
        "plain",
        "items[0]",
        "items[2][0]",
        "table['x']",
        "table[1][0]",
    ]


def test_walking_goes_in_depth_and_names_a_shared_part_once() -> None:
    """Each part has one path: the first."""
    leaf = Node()
    root = Node(first=Node(leaf=leaf), second=Node(leaf=leaf, own=Node()), again=leaf)

    assert [path for path, _ in walk(root, Node)] == [
        "self",
        "first",
        "first.leaf",
        "second",
        "second.own",
    ]


def test_a_value_that_holds_itself_is_walked_once() -> None:
    """A circle ends where it began."""
    root = Node()
    root.__dict__["me"] = root

    assert [path for path, _ in walk(root, Node)] == ["self"]


def test_freezing_touches_only_what_holds_parts() -> None:
    """Lists of parts become tuples, dicts read-only; the rest is the user's business."""
    names = ["a"]

    assert freeze([A, [B]], Node) == (A, (B,))
    assert freeze(names, Node) is names
    frozen = freeze({"x": [A]}, Node)
    assert frozen["x"] == (A,)
    with pytest.raises(TypeError):
        frozen["y"] = B


def test_exchange_keeps_what_did_not_change() -> None:
    """The very same object comes back if no part in it was swapped."""
    frozen = (A, MappingProxyType({"x": B, "n": 1}), "text")

    def swap(node: Node) -> Node:
        return C if node is B else node

    swapped = exchange(frozen, Node, swap)
    assert swapped[0] is A
    assert dict(swapped[1]) == {"x": C, "n": 1}
    assert exchange(frozen, Node, lambda node: node) is frozen
    assert exchange("text", Node, swap) == "text"
    assert exchange(B, Node, swap) is C
