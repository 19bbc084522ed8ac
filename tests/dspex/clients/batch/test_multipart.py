"""A form that every server reads the same way."""

from __future__ import annotations

from email import message_from_bytes

from hypothesis import given, strategies as st

from dspex.clients.batch.multipart import multipart


@given(st.binary(max_size=500))
def test_what_goes_in_comes_out(content: bytes) -> None:
    """Line breaks, dashes and all."""
    body, content_type = multipart({"purpose": "batch"}, "file", "batch.jsonl", content)
    boundary = content_type.removeprefix("multipart/form-data; boundary=").encode()

    head, field, file, tail = body.split(b"--" + boundary)

    assert (b"", b"--\r\n") == (head, tail)
    assert field.endswith(b"\r\n\r\nbatch\r\n")
    assert content == file.partition(b"\r\n\r\n")[2][: -len(b"\r\n")]


def test_is_read_by_another_reader() -> None:
    """The standard library's."""
    body, content_type = multipart({"purpose": "batch"}, "file", "batch.jsonl", b'{"a": 1}\n')
    message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    _, _, file = message.walk()

    assert "batch.jsonl" == file.get_filename()
    assert b'{"a": 1}' == file.get_payload(decode=True).strip()  # type: ignore[union-attr]  # bytes, as decoded
