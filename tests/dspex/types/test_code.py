"""Source code: fenced when shown, bare when read."""

from __future__ import annotations

import copy
import pickle
import time
from typing import Any, Literal

import pydantic
import pytest
from hypothesis import given, strategies as st

from dspex.signatures import InputField, OutputField, Signature
from dspex.types import Code

Python = Code[Literal["python"]]


class Write(Signature):
    """Write the program."""

    task: str = InputField()
    program: Code["python"] = OutputField()  # type: ignore[name-defined]  # noqa: F821
    query: Code[Literal["sql"]] = OutputField()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x = 1", "x = 1"),
        ("```python\nx = 1\n```", "x = 1"),
        ("```\nx = 1\n```", "x = 1"),
        ("Sure:\n```py\nx = 1\ny = 2\n```\nDone.", "x = 1\ny = 2"),
        ("````\na\n```\nb\n```\n````", "a\n```\nb\n```"),
        ("```python\n\n  x = 1\n\n```", "\n  x = 1\n"),
        ("```python\n```", ""),
        ("a ``` b", "a ``` b"),
        ("```python\nnever closed", "```python\nnever closed"),
        ("", ""),
    ],
)
def test_fences_are_stripped(text: str, code: str) -> None:
    """The first block counts; without one the text is the code."""
    assert Code.parse(text) == code
    assert Code.parse(text, "python").language == "python"


@given(st.text(st.sampled_from("`~ab \n\t{}#é")))
def test_what_was_rendered_is_read_back(code: str) -> None:
    """Also code that holds fences itself."""
    assert Code.parse(Code(code, "python").render()) == code


def test_it_is_a_text() -> None:
    """It can be run, compared and joined as one."""
    code: Code[Any] = Code("x = 1", "python")

    assert code == "x = 1"
    assert code.code == "x = 1"
    assert repr(code) == "Code('x = 1', 'python')"
    assert code.render() == "```python\nx = 1\n```"
    with pytest.raises(AttributeError, match="immutable"):
        code.language = "sql"


def test_it_travels() -> None:
    """With its language."""
    code: Code[Any] = Code("x", "sql")
    for again in (pickle.loads(pickle.dumps(code)), copy.deepcopy(code)):
        assert (again, again.language) == ("x", "sql")


def test_the_language_is_part_of_the_type() -> None:
    """Written either way, in a class, in a string, saved and sent."""
    fields = Write.fields

    assert fields["program"].annotation == Python
    assert str(Write.declared) == "task -> program: Code['python'], query: Code['sql']"
    assert Signature(str(Write.declared)).fields["program"].annotation == Python
    assert Signature.from_dict(Write.to_dict()) == Write.declared
    assert pickle.loads(pickle.dumps(Write.declared)) == Write.declared
    assert fields["query"].validate("```\nselect 1\n```").language == "sql"
    assert Python.describe("python") == "python code"


def test_only_text_is_code() -> None:
    """Anything else is refused."""
    with pytest.raises(pydantic.ValidationError, match="is not python code"):
        pydantic.TypeAdapter(Python).validate_python(3)


@pytest.mark.parametrize("unit", ["```a\n", "```\n", "````\n```x\n"])
def test_fences_that_are_never_closed_take_linear_time(unit: str) -> None:
    """A hostile answer of a megabyte is read like any other."""
    text = "```first\n" + unit.replace("```\n", "```y\n") * (1_000_000 // len(unit))
    began = time.perf_counter()
    assert Code.parse(text) == text
    assert time.perf_counter() - began < 5.0


def test_fences_of_another_length_close_nothing() -> None:
    """The first fences that are closed hold the code."""
    assert Code.parse("````py\n```js\nx\n```\n") == "x"
    assert Code.parse("```py\n````\nx\n````\n```") == "````\nx\n````"
    assert Code.parse("```py\r\nx\n```\r\n") == "x"
