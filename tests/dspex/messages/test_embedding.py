"""Embedding calls as data: they survive JSON, and what differs has another digest."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from dspex.messages import EmbedRequest, EmbedResponse
from dspex.usage import Usage

texts = st.lists(st.text(max_size=20), min_size=1, max_size=4).map(tuple)
requests = st.builds(
    EmbedRequest,
    texts,
    model=st.text(max_size=5),
    dimensions=st.one_of(st.none(), st.integers(1, 4096)),
    purpose=st.sampled_from((None, "query", "document", "classification", "clustering")),
)
numbers = st.floats(allow_nan=False, allow_infinity=False)
responses = st.builds(
    EmbedResponse,
    st.lists(st.lists(numbers, max_size=3).map(tuple), max_size=3).map(tuple),
    model=st.text(max_size=5),
    usage=st.builds(Usage, input_tokens=st.integers(0, 99), calls=st.just(1)),
    cached=st.booleans(),
)


class TestEmbedRequest:
    @given(requests)
    def test_it_survives_json(self, request: EmbedRequest) -> None:
        """Text of any kind, also such that is no UTF-8."""
        assert EmbedRequest.from_dict(json.loads(json.dumps(request.to_dict()))) == request

    @given(requests, requests)
    def test_equal_digests_are_equal_requests(self, one: EmbedRequest, two: EmbedRequest) -> None:
        """Whatever changes the vectors changes the digest."""
        assert (one.digest() == two.digest()) == (one == two)

    def test_texts_with_half_a_character(self) -> None:
        """A lone surrogate has a digest and a form in JSON as well."""
        request = EmbedRequest(("\ud800",))
        assert len(request.digest()) == 64
        assert EmbedRequest.from_dict(request.to_dict()) == request

    def test_nothing_to_embed(self) -> None:
        """Refused before anybody is asked."""
        with pytest.raises(ValueError, match="texts is empty"):
            EmbedRequest(())

    @pytest.mark.parametrize(
        "data", [{}, {"texts": 3}, {"texts": ["a"], "purpose": "fun"}], ids=str
    )
    def test_other_data_is_refused(self, data: dict[str, object]) -> None:
        """The field is named."""
        with pytest.raises(ValueError, match=r"texts|purpose"):
            EmbedRequest.from_dict(data)


class TestEmbedResponse:
    @given(responses)
    def test_it_survives_json(self, response: EmbedResponse) -> None:
        """Numbers to the bit."""
        assert EmbedResponse.from_dict(json.loads(json.dumps(response.to_dict()))) == response

    def test_other_data_is_refused(self) -> None:
        """The field is named."""
        with pytest.raises(ValueError, match="vectors"):
            EmbedResponse.from_dict({"vectors": "none"})
