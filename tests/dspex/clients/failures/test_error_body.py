"""Error bodies of every shape, and of none."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from dspex.clients.failures.error_body import ErrorBody, read_error_body


class TestReadErrorBody:
    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (
                b'{"error": {"message": "Slow down", "type": "requests", "code": "rate_limit"}}',
                ErrorBody("Slow down", "rate_limit", "requests"),
            ),
            (
                b'{"error": {"code": 503, "message": "Loading model", "type": "unavailable"}}',
                ErrorBody("Loading model", "", "unavailable", 503),
            ),
            (b'{"error": {"message": "no money", "code": 1113}}', ErrorBody("no money", "1113")),
            (b'{"error": {"message": "no money", "code": "1113"}}', ErrorBody("no money", "1113")),
            (b'{"error": "model not found"}', ErrorBody("model not found")),
            (b'{"error": "oops", "message": "the disk is full"}', ErrorBody("the disk is full")),
            (
                b'{"object": "error", "message": "too long", "type": "BadRequest", "code": 400}',
                ErrorBody("too long", "", "badrequest", 400),
            ),
            (b'{"detail": "Not Found"}', ErrorBody("Not Found")),
            (
                b'{"detail": [{"msg": "field required"}]}',
                ErrorBody('[{"msg":"field required"}]'),
            ),
            (b'{"message": "invalid api token"}', ErrorBody("invalid api token")),
            (
                b'[{"error": {"code": 429, "message": "Resource exhausted"}}]',
                ErrorBody("Resource exhausted", status=429),
            ),
            (b'{"error": {}}', ErrorBody("")),
            (b'{"status": "bad"}', ErrorBody('{"status":"bad"}')),
            (b'"just text"', ErrorBody('"just text"')),
            (b"null", ErrorBody("")),
            (b"[]", ErrorBody("")),
            (b"", ErrorBody("", foreign=True)),
            (b"upstream connect error", ErrorBody("upstream connect error", foreign=True)),
            (
                b"<html>\n<head><title>502 Bad\n Gateway</title></head><body>x</body></html>",
                ErrorBody("an HTML page: 502 Bad Gateway", foreign=True),
            ),
            (b"<h1>Oops &amp; sorry</h1>", ErrorBody("an HTML page: Oops & sorry", foreign=True)),
            (b"\xff\xfe broken", ErrorBody("\ufffd\ufffd broken", foreign=True)),
            (
                b'{"error": {"message": "cut of',
                ErrorBody('{"error": {"message": "cut of', foreign=True),
            ),
        ],
    )
    def test_shapes(self, body: bytes, expected: ErrorBody) -> None:
        """Each known shape gives its message and its words."""
        assert read_error_body(body) == expected

    def test_long_message_is_cut(self) -> None:
        """A megabyte of stack trace is not put into an error."""
        found = read_error_body(b"x" * (1 << 20))
        assert len(found.message) == 503

    @pytest.mark.parametrize(
        "body",
        [
            b"[" * 1_000 + b"]" * 1_000,
            b'{"error":' * 900 + b"1" + b"}" * 900,
            b'{"error": {"message": ' + b"[" * 500 + b"1" + b"]" * 500 + b"}}",
            b"[" * 100_000,
        ],
        ids=["lists", "objects", "message", "unclosed"],
    )
    def test_deep_nesting_is_survived(self, body: bytes) -> None:
        """A body made to exhaust the stack is read like any other."""
        assert len(read_error_body(body).message) <= 503

    @given(st.binary(max_size=300))
    def test_no_bytes_crash_it(self, body: bytes) -> None:
        """Any bytes at all are read."""
        assert isinstance(read_error_body(body), ErrorBody)

    def test_words_are_both_words(self) -> None:
        """Code and type both speak; a missing one does not."""
        assert ErrorBody("", "a", "b", reasons=("c",)).words == ("a", "c", "b")
        assert ErrorBody("").words == ()

    @pytest.mark.parametrize(
        "key",
        [
            "Bearer abcdefgh12345",
            "sk-proj-abcdefghijklmnop1234",
            "gsk_abcdefghijklmnop1234",
            "AIzaSyA1234567890abcdefghijklmnop",
        ],
    )
    def test_a_key_that_the_server_repeats_is_left_out(self, key: str) -> None:
        """Errors are logged; keys must not be."""
        found = read_error_body(f'{{"error": {{"message": "Incorrect key: {key}."}}}}'.encode())

        assert found.message == "Incorrect key: [key]." or found.message == "Incorrect key: [key]"
