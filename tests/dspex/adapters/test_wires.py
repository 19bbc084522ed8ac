"""Every type over every wire: carried, shown as text, or refused before the call."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from dspex.adapters import ChatAdapter, JSONAdapter, TextAdapter, XMLAdapter
from dspex.clients.wire.compat import PRESETS
from dspex.clients.wire.registry import WIRES, default_compat, wire
from dspex.errors import UnsupportedFeature
from dspex.messages import Compat, Sampling
from dspex.signatures import Example, Signature
from dspex.types import Audio, Code, Document, File, History, Image

PNG = b"\x89PNG\r\n\x1a\n rest"
WAV = b"RIFF\x00\x00\x00\x00WAVE rest"
PDF = b"%PDF-1.7 rest"

VALUES: dict[str, Any] = {
    "image by address": ("Image", Image("https://example.org/a.png")),
    "image in bytes": ("Image", Image(PNG)),
    "images": ("list[Image]", [Image(PNG), Image(PNG)]),
    "audio": ("Audio", Audio(WAV)),
    "file by address": ("File", File("https://example.org/a.pdf")),
    "file in bytes": ("File", File(PDF, name="a.pdf")),
    "file of text": ("File", File(b"all of it", media_type="text/plain")),
    "document": ("Document", Document("all of it", title="law")),
    "documents": ("dict[str, Document]", {"a": Document("all of it")}),
    "history": ("History", History(({"given": "what?", "answer": "that"},))),
    "code": ("Code['python']", Code("x = 1", "python")),
}
AS_TEXT = {"file of text", "document", "documents", "history", "code"}


def compat_of(name: str) -> Compat:
    """Give what the inventor's own server of a wire takes."""
    return PRESETS[default_compat("", name)]


def ask(adapter: TextAdapter, what: str, compat: Compat, name: str) -> str:
    """Give the body that asks with one value."""
    kind, value = VALUES[what]
    signature = Signature(f"given: {kind}, rest -> answer")
    if kind == "History":
        signature = Signature("given, talk: History -> answer")

    inputs = {"given": "x", "talk": value} if kind == "History" else {"given": value, "rest": "x"}
    demos = [Example(inputs, answer="yes")]
    request = adapter.fitted(signature, compat, Sampling()).prepare(
        signature, demos, inputs, capabilities=compat
    )
    request = replace(request, model="some-model")
    return wire(name).encode(request, compat, stream=False).body.decode()


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("what", VALUES)
@pytest.mark.parametrize("adapter", [ChatAdapter(), JSONAdapter(), XMLAdapter()], ids=repr)
def test_a_type_over_a_wire(adapter: TextAdapter, what: str, name: str) -> None:
    """What the adapter lets through, the wire can say; what is text goes anywhere."""
    try:
        body = ask(adapter, what, compat_of(name), name)
    except UnsupportedFeature:
        body = ""

    assert body or what not in AS_TEXT


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize(
    ("images", "audio", "files"),
    list(itertools.product(("url", "data", "none"), (True, False), ("url", "data", "none"))),
)
@pytest.mark.parametrize("what", VALUES)
def test_whatever_an_endpoint_takes(
    what: str, images: Any, audio: bool, files: Any, name: str
) -> None:
    """The adapter and the wire never disagree about it."""
    if audio and name in ("anthropic-messages", "cohere"):
        return  # these wires have no place for a sound

    base = compat_of(name)
    compat = replace(
        base,
        images="none" if base.images == "none" else images,
        audio=audio and base.audio,
        files=base.files if base.files in ("none", "text") else files,
    )
    try:
        assert ask(ChatAdapter(), what, compat, name)
    except UnsupportedFeature:
        assert what not in AS_TEXT


@pytest.mark.parametrize(
    ("what", "compat", "words"),
    [
        ("image in bytes", Compat(images="none"), "no images"),
        ("image by address", Compat(images="data"), "images only as bytes"),
        ("audio", Compat(audio=False), "no sounds"),
        ("file in bytes", Compat(files="none"), "no files"),
        ("file by address", Compat(files="data"), "files only as bytes"),
        ("file in bytes", Compat(files="text"), "files only as bytes of text"),
    ],
)
def test_what_is_refused_is_named(what: str, compat: Compat, words: str) -> None:
    """With the part, and before anything is sent."""
    with pytest.raises(UnsupportedFeature, match=words):
        ask(ChatAdapter(), what, compat, "openai-chat")


@pytest.mark.parametrize("name", WIRES)
def test_a_document_is_text_where_files_are_not_taken(name: str) -> None:
    """Its title and its words stand in the prompt."""
    body = ask(ChatAdapter(), "document", replace(compat_of(name), files="none"), name)

    assert "law" in body
    assert "all of it" in body
