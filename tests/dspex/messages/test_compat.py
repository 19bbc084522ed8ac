"""What an endpoint takes, as capabilities."""

from __future__ import annotations

import pytest

from dspex.messages import Compat


@pytest.mark.parametrize(
    ("compat", "word", "there"),
    [
        (Compat(), "vision", True),
        (Compat(images="none"), "vision", False),
        (Compat(audio=True), "audio", True),
        (Compat(), "audio", False),
        (Compat(files="data"), "files", True),
        (Compat(tools=False), "tools", False),
        (Compat(structured_output="json_object"), "json_schema", False),
        (Compat(streaming=False), "streaming", False),
        (Compat(embeddings=False), "embeddings", False),
        (Compat(logprobs=False), "logprobs", False),
        (Compat(tools=False, streaming=False), "prediction", True),
    ],
)
def test_capabilities_say_what_the_record_says(compat: Compat, word: str, there: bool) -> None:
    """Each word stands for a field."""
    assert (word in compat.capabilities) == there
