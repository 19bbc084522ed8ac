"""Forms with files, byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.sandbox.exchange import RequestError
from dspex.sandbox.forms import FormPart, read_form

TYPE = 'multipart/form-data; boundary="x-x"'


def form(*parts: tuple[str, bytes]) -> bytes:
    pieces = [
        b"--x-x\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + data + b"\r\n"
        for head, data in parts
    ]
    return b"".join(pieces) + b"--x-x--\r\n"


@given(st.binary(max_size=50).filter(lambda data: b"x-x" not in data))
def test_data_is_kept(data: bytes) -> None:
    """Whatever a file holds comes out as it went in, line ends included."""
    raw = form(('name="purpose"', b"batch"), ('name="file"; filename="a b.jsonl"', data))
    assert read_form(TYPE, raw) == {
        "purpose": FormPart(b"batch"),
        "file": FormPart(data, "a b.jsonl"),
    }


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", form()),
        (TYPE, b"--x-x\r\nContent-Disposition: form-data"),
        (TYPE, form(('name="a"', b"x"))[:-9]),
    ],
    ids=["json", "no boundary", "no end", "cut"],
)
def test_what_is_no_form(kind: str, raw: bytes) -> None:
    """Another type, and a form that is cut, are refused."""
    with pytest.raises(RequestError):
        read_form(kind, raw)
