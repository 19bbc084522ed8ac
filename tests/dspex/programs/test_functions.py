"""Functions that cannot be imported: told apart by what they do and hold."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from dspex.programs.functions import describe_function
from dspex.programs.predict import Predict
from dspex.programs.self_correcting import SelfCorrecting


def described(value: Any) -> Any:
    return describe_function(value, repr)


def shorter_than(limit: int) -> Callable[..., bool]:
    return lambda inputs, prediction: len(prediction.answer) < limit


class Judge:
    def __init__(self, limit: int) -> None:
        self.limit = limit

    def __repr__(self) -> str:
        return f"Judge({self.limit})"

    def good(self) -> bool:
        return self.limit > 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (shorter_than(3), shorter_than(4)),
        (lambda x: x + 1, lambda x: x + 2),
        (lambda x: x.a, lambda x: x.b),
        (lambda x, y=1: x + y, lambda x, y=2: x + y),
        (lambda x, *, y=1: x + y, lambda x, *, y=2: x + y),
        (lambda x: x in {"a", "b"}, lambda x: x in {"a", "c"}),
        (lambda: [y + 1 for y in (1, 2)], lambda: [y + 2 for y in (1, 2)]),
        (partial(shorter_than, 3), partial(shorter_than, 4)),
        (partial(shorter_than, limit=3), partial(shorter_than, limit=4)),
        (Judge(1).good, Judge(2).good),
    ],
)
def test_functions_that_differ(one: Any, other: Any) -> None:
    """Code, names, constants, defaults and what is closed over."""
    assert described(one) != described(other)


def test_functions_that_do_the_same() -> None:
    """Made twice by one factory with one setting they are one."""
    assert described(shorter_than(3)) == described(shorter_than(3))
    assert described(Judge(1).good) == described(Judge(1).good)


def test_a_function_may_close_over_itself() -> None:
    """Going round in circles ends, also where the cell is not filled yet."""

    def walk(depth: int) -> int:
        return walk(depth - 1) + len(late) if depth else 0

    assert described(walk) == described(walk)
    late = "x"
    assert described(walk)[2][0] != described(walk)[2][1]


def test_what_is_no_function() -> None:
    """It is for others to say."""
    assert described(3) is None


def test_programs_with_other_functions_have_other_digests() -> None:
    """A cache must not give the answers of one to the other."""
    program = Predict("question -> answer")
    three, four = (SelfCorrecting(program, validate=shorter_than(n)) for n in (3, 4))
    assert three.digest() != four.digest()
    assert three.digest() == SelfCorrecting(program, validate=shorter_than(3)).digest()
