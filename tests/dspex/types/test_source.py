"""Where bytes come from: URLs, bytes, paths; never a file that a text happens to name."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from dspex.errors import InputError
from dspex.messages import AudioPart, FilePart, ImagePart
from dspex.types import Audio, FieldType, File, Image
from dspex.types.media import data_url, media_type_of, read_data_url
from dspex.types.source import as_source

PNG = b"\x89PNG\r\n\x1a\n rest"
WAV = b"RIFF\x00\x00\x00\x00WAVE rest"
PDF = b"%PDF-1.7 rest"


class TestMedia:
    @pytest.mark.parametrize(
        ("data", "name", "expected"),
        [
            (PNG, None, "image/png"),
            (b"\xff\xd8\xff\xe0", None, "image/jpeg"),
            (b"GIF89a", None, "image/gif"),
            (b"RIFF\x00\x00\x00\x00WEBP", None, "image/webp"),
            (WAV, None, "audio/wav"),
            (b"ID3\x04", None, "audio/mpeg"),
            (PDF, None, "application/pdf"),
            (PDF, "x.png", "application/pdf"),
            (b"plain", "x.txt", "text/plain"),
            (b"plain", "x", None),
            (b"", None, None),
        ],
    )
    def test_kinds_of_bytes(self, data: bytes, name: str | None, expected: str | None) -> None:
        """How they begin says more than the name of their file."""
        assert media_type_of(data, name) == expected

    @given(st.binary())
    def test_data_urls_are_read_back(self, data: bytes) -> None:
        """Whatever the bytes."""
        assert read_data_url(data_url(data, "image/png")) == ("image/png", data)

    def test_data_urls_without_base64(self) -> None:
        """They are allowed, and plain text if they name no type."""
        assert read_data_url("data:,a%20b") == ("text/plain", b"a b")
        assert read_data_url("data:text/html;charset=utf-8,x") == ("text/html", b"x")

    @pytest.mark.parametrize("url", ["http://x", "data:image/png", "data:image/png;base64,?", ""])
    def test_what_is_none(self, url: str) -> None:
        """The message shows it."""
        with pytest.raises(ValueError, match="data: URL"):
            read_data_url(url)


@pytest.mark.parametrize(
    ("made", "url"),
    [
        (Image("https://example.org/a.png"), "https://example.org/a.png"),
        (Image("HTTP://example.org/a.png"), "HTTP://example.org/a.png"),
        (Image(PNG), data_url(PNG, "image/png")),
        (Image(b"odd", media_type="image/x-odd"), data_url(b"odd", "image/x-odd")),
        (Image(data_url(PNG, "image/png")), data_url(PNG, "image/png")),
    ],
)
def test_an_image(made: Image, url: str) -> None:
    """From an address or from bytes, whose kind is found out."""
    assert made.render() == (ImagePart(url),)
    assert Image.parse(made.as_text()).url == made.url


def test_an_image_has_a_detail() -> None:
    """It reaches the part, and is kept in JSON."""
    image = Image("https://example.org/a.png", detail="low")

    assert image.render() == (ImagePart("https://example.org/a.png", "low"),)
    assert Image.from_json(image.to_json()) == image


def test_a_sound() -> None:
    """Bytes become base64 with the providers' word for their format."""
    assert Audio(WAV).render() == (AudioPart(base64.b64encode(WAV).decode(), "wav"),)
    assert Audio(b"ID3 x").render() == (AudioPart(base64.b64encode(b"ID3 x").decode(), "mp3"),)
    assert Audio.parse(Audio(WAV).as_text()) == Audio(WAV)


def test_a_file() -> None:
    """By bytes, by address or by the provider's own name."""
    named = File(PDF, name="law.pdf", citations=True)

    assert named.render() == (
        FilePart(data_url(PDF, "application/pdf"), name="law.pdf", citations=True),
    )
    assert File(file_id="f-1").render() == (FilePart(file_id="f-1"),)
    assert File.parse(File(file_id="f-1").as_text()) == File(file_id="f-1")
    assert File.parse(named.as_text()) == named
    assert File(Path("a/law.pdf")).name == "law.pdf"


class TestWhatIsRefused:
    @pytest.mark.parametrize("kind", [Image, File, Audio])
    @pytest.mark.parametrize(
        "source", ["", "cat.png", "/etc/passwd", "file:///etc/passwd", "ftp://x/y", 3, None, ["x"]]
    )
    def test_a_text_is_never_a_path(self, kind: Any, source: Any) -> None:
        """Somebody's text must not make a program read its files; the message names Path."""
        with pytest.raises(ValueError, match=r"pathlib\.Path|a source or a file_id"):
            kind(source)

    @pytest.mark.parametrize("kind", [Image, File, Audio])
    def test_data_is_never_a_path(self, kind: Any) -> None:
        """What is written for a path is not read back."""
        assert kind(Path("x.bin")).to_json()["path"] == "x.bin"
        with pytest.raises(ValueError, match="path"):
            kind.from_json({"path": "/etc/passwd"})

    def test_bytes_of_no_known_kind(self) -> None:
        """The message says what to add."""
        with pytest.raises(ValueError, match="media_type="):
            Image(b"what is this")

    def test_a_sound_by_its_address(self) -> None:
        """No provider takes one."""
        with pytest.raises(ValueError, match="data: URL"):
            Audio("https://example.org/a.wav")

    def test_a_broken_data_url(self) -> None:
        """Found when it is made, not when it is sent."""
        with pytest.raises(ValueError, match="base64"):
            Image("data:image/png;base64,?")

    def test_a_file_of_two_sources(self) -> None:
        """One of them."""
        with pytest.raises(ValueError, match="one of them"):
            File(PDF, file_id="f-1")

    def test_a_long_text_is_cut_in_the_message(self) -> None:
        """A megabyte of input is no megabyte of error."""
        with pytest.raises(ValueError, match="pathlib") as caught:
            as_source("x" * 1_000_000, "image", None)

        assert len(str(caught.value)) < 400


class TestPaths:
    @pytest.mark.parametrize(
        ("kind", "name", "data"), [(Image, "a.png", PNG), (Audio, "a.wav", WAV), (File, "a", PDF)]
    )
    async def test_a_path_is_read_by_load(
        self, tmp_path: Path, kind: Any, name: str, data: bytes
    ) -> None:
        """The constructor reads nothing; a loaded value holds the bytes and equals itself."""
        made = kind(tmp_path / name)
        (tmp_path / name).write_bytes(data)
        loaded: FieldType = await made.load()

        assert made.source == tmp_path / name
        assert loaded.to_json() != made.to_json()
        assert await loaded.load() is loaded
        assert loaded.render()

    @pytest.mark.parametrize("kind", [Image, Audio, File])
    def test_rendering_does_not_read(self, kind: Any) -> None:
        """It says who does."""
        with pytest.raises(InputError, match="load"):
            kind(Path("missing.png")).render()

    async def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        """Is the operating system's error."""
        with pytest.raises(FileNotFoundError):
            await Image(tmp_path / "no.png").load()

    async def test_a_file_of_no_known_kind(self, tmp_path: Path) -> None:
        """Neither its bytes nor its name tell."""
        (tmp_path / "odd").write_bytes(b"?")
        with pytest.raises(ValueError, match="media_type"):
            await Image(tmp_path / "odd").load()


@pytest.mark.parametrize("make", [Image, File])
def test_a_data_url_of_plain_text_becomes_base64(make: Any) -> None:
    """Providers take no other form; the kind stays with its parameters left out."""
    made = make("data:image/svg+xml;charset=utf-8,%3Csvg%3E")
    assert made == make(b"<svg>", media_type="image/svg+xml") or made.source == data_url(
        b"<svg>", "image/svg+xml"
    )
    assert make(data_url(b"x", "image/png")).source == data_url(b"x", "image/png")
