"""What Gemini's answers rest on."""

from __future__ import annotations

from typing import Any

import pytest

from dspex.clients.wire.gemini_citations import read_citations
from dspex.messages import Citation
from tests.support.official_gemini import types


class TestCitations:
    @pytest.mark.parametrize("field", ["citationSources", "citations"])
    def test_recited_passages(self, field: str) -> None:
        """Places count bytes of the answer; either name of the list is read."""
        row = {"startIndex": 2, "endIndex": 5, "uri": "https://x"}
        found = read_citations({"citationMetadata": {field: [row, None]}}, "äbcd")
        assert found == (Citation("bcd", source="https://x"),)

    def test_grounded_passages(self) -> None:
        """Each passage with each of its sources."""
        metadata = {
            "groundingChunks": [
                {"web": {"uri": "https://x", "title": "X"}},
                {"retrievedContext": {"title": "paper"}},
                {"image": {"sourceUri": "https://y"}},
            ],
            "groundingSupports": [
                {"segment": {"text": "so"}, "groundingChunkIndices": [0, 1, 2, 3, 7]},
            ],
        }
        types.GroundingMetadata.model_validate(metadata)
        assert read_citations({"groundingMetadata": metadata}, "so") == (
            Citation("so", source="https://x"),
            Citation("so", source="paper"),
            Citation("so"),
        )

    @pytest.mark.parametrize(
        "candidate",
        [
            {},
            {"citationMetadata": 3, "groundingMetadata": []},
            {
                "groundingMetadata": {
                    "groundingSupports": [None, {"groundingChunkIndices": ["x", -1]}]
                }
            },
        ],
    )
    def test_nonsense_is_none(self, candidate: dict[str, Any]) -> None:
        """What is not as it should be is read as missing."""
        assert read_citations(candidate, "so") == ()

    def test_half_a_character(self) -> None:
        """A place within a character does not break the answer."""
        row = {"startIndex": 1, "endIndex": 99}
        (found,) = read_citations({"citationMetadata": {"citationSources": [row]}}, "ä\ud800")
        assert found.source is None
