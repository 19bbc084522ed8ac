"""What all wires share in writing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from types import MappingProxyType
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from dspex.clients.wire.writing import (
    EFFORTS,
    UNSUPPORTED,
    DataUrl,
    Draft,
    check_audio,
    check_file,
    check_image,
    data_url,
    nearest_effort,
    tool_result_text,
    write_json,
)
from dspex.errors import InvalidRequest
from dspex.messages import (
    AudioPart,
    Compat,
    DroppedParam,
    FilePart,
    ImagePart,
    Message,
    TextPart,
)


class TestDraft:
    def test_what_is_set_is_written(self) -> None:
        """Under its own name or the wire's, and None not at all; zero and False are values."""
        draft = Draft({})
        draft.put("seed", 0)
        draft.put("strict", False)
        draft.put("max_tokens", 9, field_name="maxOutputTokens")
        draft.put("stop", None)
        draft.put("top_k", None, taken=False)
        assert draft.body == {"seed": 0, "strict": False, "maxOutputTokens": 9}
        assert draft.encoded().dropped == ()

    def test_what_is_not_taken_is_recorded(self) -> None:
        """Under its neutral name, with what was asked."""
        draft = Draft({})
        draft.put("max_tokens", 9, taken=False, field_name="maxOutputTokens")
        draft.drop("n", 3, 1, "one at a time")
        assert draft.encoded().dropped == (
            DroppedParam("max_tokens", 9, None, UNSUPPORTED),
            DroppedParam("n", 3, 1, "one at a time"),
        )
        assert draft.body == {}

    def test_inner_object_shares_the_record(self) -> None:
        """What is left out of it is left out of the request."""
        draft = Draft({})
        inner = Draft({}, draft.dropped)
        inner.drop("seed", 7)
        assert [param.name for param in draft.encoded().dropped] == ["seed"]

    def test_own_fields_win(self) -> None:
        """They come last, and do not change the caller's."""
        extra = MappingProxyType({"a": 2, "c": 3})
        body = orjson.loads(Draft({"a": 1, "b": 1}).encoded(extra).body)
        assert body == {"a": 2, "b": 1, "c": 3}


class TestDataUrls:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("data:image/png;base64,AAAA", DataUrl("image/png", "AAAA")),
            ("data:text/plain;charset=utf-8;base64,AA==", DataUrl("text/plain", "AA==")),
            ("data:;base64,AAAA", DataUrl("application/octet-stream", "AAAA")),
            ("https://x/y.png", None),
            ("", None),
        ],
    )
    def test_halves(self, url: str, expected: DataUrl | None) -> None:
        """Type and data; another URL has none."""
        assert data_url(url) == expected

    @pytest.mark.parametrize("url", ["data:", "data:text/plain,hello", "data:;base64"])
    def test_not_base64(self, url: str) -> None:
        """No provider reads it."""
        with pytest.raises(InvalidRequest, match="base64"):
            data_url(url)

    def test_a_megabyte_is_not_shown(self) -> None:
        """The error names the beginning."""
        with pytest.raises(InvalidRequest) as caught:
            data_url("data:" + "x" * 1_000_000)

        assert len(str(caught.value)) < 300


class TestParts:
    @pytest.mark.parametrize(
        ("taken", "url", "sees"),
        [
            ("url", "https://x/y", True),
            ("url", "data:a;base64,AAAA", True),
            ("data", "https://x/y", False),
            ("data", "data:a;base64,AAAA", True),
            ("none", "data:a;base64,AAAA", False),
        ],
    )
    def test_images_and_files(self, taken: Any, url: str, sees: bool) -> None:
        """What would not be seen is refused."""
        checks: list[Callable[[], None]] = [
            lambda: check_image(ImagePart(url), Compat(images=taken)),
            lambda: check_file(FilePart(url), Compat(files=taken)),
        ]
        for check in checks:
            with nullcontext() if sees else pytest.raises(InvalidRequest, match="endpoint takes"):
                check()

    def test_file_by_id(self) -> None:
        """It lies at the provider: whoever takes files takes it."""
        check_file(FilePart(file_id="f"), Compat(files="data"))
        with pytest.raises(InvalidRequest, match="no files; got 'f'"):
            check_file(FilePart(file_id="f"), Compat(files="none"))

    def test_audio(self) -> None:
        """Few hear."""
        check_audio(AudioPart("AAAA", "wav"), Compat(audio=True))
        with pytest.raises(InvalidRequest, match="no audio; got 'wav'"):
            check_audio(AudioPart("AAAA", "wav"), Compat())

    @pytest.mark.parametrize(
        ("message", "expected"),
        [
            (Message("tool", "4"), "4"),
            (Message("tool", (TextPart("a"), TextPart("b"))), "ab"),
            (Message("tool", "no", is_error=True), "Error: no"),
            (Message("tool", "error: no", is_error=True), "error: no"),
        ],
    )
    def test_result_of_a_tool(self, message: Message, expected: str) -> None:
        """A failure is said once."""
        assert tool_result_text(message) == expected


class TestEfforts:
    @pytest.mark.parametrize(
        ("asked", "taken", "expected"),
        [
            ("medium", (), "medium"),
            ("medium", ("low", "medium"), "medium"),
            ("medium", ("low", "high"), "high"),
            ("none", ("low", "high"), "low"),
            ("max", ("low", "high"), "high"),
            ("extreme", ("low", "high"), "extreme"),
            ("low", ("their own",), "low"),
        ],
    )
    def test_next_stronger(self, asked: str, taken: tuple[str, ...], expected: str) -> None:
        """Else the strongest there is; words of the provider's own are passed on."""
        assert nearest_effort(asked, taken) == expected

    @given(st.sampled_from(EFFORTS), st.sets(st.sampled_from(EFFORTS), min_size=1))
    def test_it_is_always_taken(self, asked: str, taken: set[str]) -> None:
        """And never weaker than what was asked, where something stronger is there."""
        found = nearest_effort(asked, tuple(taken))
        assert found in taken
        strongest = max(taken, key=EFFORTS.index)
        assert EFFORTS.index(found) >= min(EFFORTS.index(asked), EFFORTS.index(strongest))


class TestJson:
    def test_what_json_can_say(self) -> None:
        """Read-only mappings, lone surrogates and integers beyond 64 bits."""
        assert write_json(MappingProxyType({"a": MappingProxyType({})})) == b'{"a":{}}'
        assert write_json({"a": "\ud83d"}) == b'{"a":"\\ud83d"}'
        assert write_json({"a": 2**70}) == f'{{"a":{2**70}}}'.encode()

    def test_what_it_cannot(self) -> None:
        """The error names the value."""
        with pytest.raises(InvalidRequest, match="object is not JSON"):
            write_json({"a": object()})
