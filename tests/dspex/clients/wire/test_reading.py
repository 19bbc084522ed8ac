"""What all wires share in reading."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dspex.clients.wire.reading import (
    arguments_text,
    load_json,
    load_json_object,
    number_of,
    protocol_error,
    raise_inner_error,
    raise_part_error,
    truncated_stream,
)
from dspex.errors import ErrorKind, ProtocolError, RateLimited, ServerError


class TestJson:
    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (b"3", 3),
            (b'{"a": "\\ud83d"}', {"a": "\ud83d"}),
            (b'["\xc3"]', ["\ufffd"]),
            (b'{"a": NaN}', None),
        ],
    )
    def test_what_models_write_is_read(self, body: bytes, expected: Any) -> None:
        """Half characters too, and what the standard library writes."""
        found = load_json(body)
        assert found == expected or json.dumps(found) == body.decode()

    @pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"[" * 100_000])
    def test_what_is_no_json_is_shown(self, body: bytes) -> None:
        """The error holds its beginning."""
        with pytest.raises(ProtocolError, match="not JSON") as caught:
            load_json(body)

        assert caught.value.data.stage == "body"

    def test_an_object_alone_in_a_list(self) -> None:
        """An error may come so, and is the error all the same."""
        assert load_json_object(b'[{"error": "x"}]') == {"error": "x"}

    @pytest.mark.parametrize("body", [b"3", b"[]", b"[3]", b"[{}, {}]", b"null", b'"x"'])
    def test_only_objects(self, body: bytes) -> None:
        """Anything else is no answer."""
        with pytest.raises(ProtocolError, match="not a JSON object"):
            load_json_object(body)


class TestErrors:
    @pytest.mark.parametrize("answer", [{}, {"error": None}, {"error": {}}, {"object": "list"}])
    def test_no_error_is_none(self, answer: dict[str, Any]) -> None:
        """Some servers always send the field."""
        raise_inner_error(answer, json.dumps(answer).encode())

    def test_error_is_raised_as_what_it_is(self) -> None:
        """By its own words, and as a failure of the server without any."""
        for answer, expected in (
            ({"error": {"code": 429}}, RateLimited),
            ({"error": "it broke"}, ServerError),
            ({"object": "error"}, ServerError),
        ):
            with pytest.raises(expected):
                raise_inner_error(answer, json.dumps(answer).encode())

    def test_error_of_a_part(self) -> None:
        """It is read apart from the whole; one nested too deep to be read apart is one too."""
        raise_part_error({"error": None}, b"{}")
        with pytest.raises(RateLimited, match=r"^slow down"):
            raise_part_error({"error": {"code": 429, "message": "slow down"}}, b"[whole]")

        deep: Any = []
        for _ in range(100_000):
            deep = [deep]

        with pytest.raises(ServerError):
            raise_part_error({"error": deep}, b"{}")

    def test_only_a_beginning_is_shown(self) -> None:
        """With how much there was."""
        error = protocol_error("odd", b"x" * 1_000)
        assert "(1000 bytes)" in str(error)
        assert len(str(error)) < 500

    def test_cut_stream(self) -> None:
        """Its code tells it from other broken answers."""
        data = truncated_stream("3 events").data
        assert (data.kind, data.code) == (ErrorKind.PROTOCOL, "truncated")
        assert "after 3 events" in data.message


class TestValues:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [(None, ""), ("", ""), ('{"a":1}', '{"a":1}'), ({"a": [1]}, '{"a":[1]}'), (7, "7")],
    )
    def test_arguments(self, value: Any, expected: str) -> None:
        """Text as it is, anything else as JSON."""
        assert arguments_text(value) == expected

    def test_arguments_that_utf8_cannot_carry(self) -> None:
        """They stand with their escapes; other letters as the model wrote them."""
        assert arguments_text({"a": "ü"}) == '{"a":"ü"}'
        assert arguments_text({"a": "\ud800"}) == '{"a":"\\ud800"}'

    def test_arguments_too_deep(self) -> None:
        """They do not take the process down."""
        value: Any = []
        for _ in range(100_000):
            value = [value]

        with pytest.raises(ProtocolError, match="too deep"):
            arguments_text(value)

    @pytest.mark.parametrize(
        ("value", "expected"),
        [(1, 1.0), (-0.5, -0.5), (True, None), ("1", None), (None, None), (10**400, None)],
    )
    def test_numbers(self, value: Any, expected: float | None) -> None:
        """Nothing but a number is one."""
        assert number_of(value) == expected
