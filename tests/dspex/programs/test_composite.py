"""Composites: frozen after construction, copied with shared parts, pickled."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dspex.programs.composite import Composite


class Leaf(Composite):
    def __init__(self, name: str = "leaf", *, size: int = 1) -> None:
        self.name = name
        self.size = size


class Tree(Composite):
    steps: Sequence[Leaf]
    table: Mapping[str, Leaf]

    def __init__(self) -> None:
        shared = Leaf("shared")
        self.left = shared
        self.right = shared
        self.own = Leaf("own")
        self.steps = [Leaf("one"), shared]
        self.table = {"x": Leaf("x")}
        self.names = ["a"]


class Deeper(Tree):
    def __init__(self, *, more: int) -> None:
        super().__init__()
        self.more = more
        self.inner = Tree()


def test_it_is_frozen_when_init_returns() -> None:
    """Attributes can be neither set nor deleted, lists of parts not extended."""
    tree = Tree()

    with pytest.raises(AttributeError, match=r"immutable: Tree\.left"):
        tree.left = Leaf()
    with pytest.raises(AttributeError, match=r"immutable: Tree\.left"):
        del tree.left
    assert isinstance(tree.steps, tuple)
    with pytest.raises(TypeError):
        tree.table["y"] = Leaf()  # type: ignore[index]  # that is the test


def test_init_may_set_and_delete() -> None:
    """Until then it is an ordinary object, also across super().__init__()."""

    class Undecided(Deeper):
        def __init__(self) -> None:
            super().__init__(more=1)
            self.temporary = 3
            del self.temporary
            self.more = 2

    undecided = Undecided()
    assert undecided.more == 2
    assert not hasattr(undecided, "temporary")


def test_constructor_arguments_are_known_by_name() -> None:
    """However they were passed; a copy keeps them."""
    assert Leaf("x", size=2).constructor_arguments() == {"name": "x", "size": 2}
    assert Leaf().constructor_arguments() == {}
    assert Leaf("x")._copy({"name": "y"}).constructor_arguments() == {"name": "x"}


def test_the_signature_of_the_class_is_that_of_init() -> None:
    """Editors and help() show the real parameters."""
    assert str(inspect.signature(Deeper)) == "(*, more: 'int') -> 'None'"


def test_wrong_arguments_are_an_ordinary_type_error() -> None:
    """As of any class."""
    with pytest.raises(TypeError, match="more"):
        Deeper()  # type: ignore[call-arg]  # that is the test


def test_parts_are_named() -> None:
    """Shared ones once; an owner knows the paths of its direct parts."""
    deeper = Deeper(more=1)

    assert list(deeper._walk()) == [
        "self",
        "left",
        "own",
        "steps[0]",
        "table['x']",
        "inner",
        "inner.left",
        "inner.own",
        "inner.steps[0]",
        "inner.table['x']",
    ]
    assert deeper._name_of(deeper.right) == "left"
    assert deeper._name_of(deeper.table["x"]) == "table['x']"
    assert deeper._name_of(Leaf()) is None


def test_a_copy_shares_what_did_not_change() -> None:
    """And a part that stood in two places is one part in the copy as well."""
    tree = Tree()
    new = Leaf("new")
    copy: Tree = tree._rebuilt(lambda part: new if part is tree.left else None)

    assert copy.left is copy.right is copy.steps[1] is new
    assert copy.own is tree.own
    assert copy.steps[0] is tree.steps[0]
    assert copy.table is tree.table
    assert tree.left.name == "shared"


def test_nothing_changed_means_no_copy() -> None:
    """The same object comes back, parts included."""
    deeper = Deeper(more=1)

    assert deeper._rebuilt(lambda part: None) is deeper


def test_changed_parts_deep_down_change_their_owners() -> None:
    """Only along the way to them."""
    deeper = Deeper(more=1)
    copy: Deeper = deeper._rebuilt(lambda part: Leaf("new") if part is deeper.inner.own else None)

    assert copy.inner is not deeper.inner
    assert copy.inner.own.name == "new"
    assert copy.left is deeper.left
    with pytest.raises(AttributeError, match="immutable"):
        copy.inner.own = Leaf()


def test_it_travels_by_pickle() -> None:
    """Frozen on the other side too, with its parts named and shared as before."""
    deeper = Deeper(more=1)
    copy = pickle.loads(pickle.dumps(deeper))

    assert list(copy._walk()) == list(deeper._walk())
    assert copy.left is copy.right
    assert copy._name_of(copy.own) == "own"
    with pytest.raises(AttributeError, match="immutable"):
        copy.more = 3


def test_derived_attributes_stay_behind() -> None:
    """What is computed from the rest is not taken over by copies or pickles."""

    class Lazy(Composite):
        _derived = frozenset({"_text"})

        def text(self) -> Any:
            return vars(self).setdefault("_text", object())

    lazy = Lazy()
    assert lazy.text() is lazy.text()
    assert lazy._copy({}).text() is not lazy.text()


def test_repr_shows_the_parts() -> None:
    """With their paths."""
    assert repr(Tree()).startswith("Tree(left=Leaf(), right=Leaf(), own=Leaf(), steps[0]=Leaf()")
