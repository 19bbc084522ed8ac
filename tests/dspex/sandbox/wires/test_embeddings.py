"""Embeddings on three wires: the SDKs are the judges."""

from __future__ import annotations

from typing import Any

import openai
import orjson
import pytest
from cohere.errors import BadRequestError

from dspex.sandbox import EMBEDDING_ID, MODEL_ID, embed_text
from tests.dspex.sandbox.sdks import cohere_sdk, gemini_sdk, openai_sdk
from tests.dspex.sandbox.serving import serving, wire_counts

TEXTS = ["the red cat", "tax law"]


@pytest.mark.parametrize("form", ["float", "base64"])
async def test_openai(form: Any) -> None:
    """Both encodings carry the vectors, in single precision when packed."""
    async with openai_sdk() as (sdk, client):
        answer = await sdk.embeddings.create(
            model=EMBEDDING_ID, input=TEXTS, dimensions=64, encoding_format=form
        )
        assert answer.usage.prompt_tokens == 5
        assert (await wire_counts(client, "openai_embeddings"))["billed_input_tokens"] == 5

    async with openai_sdk() as (sdk, _):
        answer = await sdk.embeddings.create(model=EMBEDDING_ID, input=TEXTS, dimensions=64)
        for text, item in zip(TEXTS, answer.data, strict=True):
            assert item.embedding == pytest.approx(embed_text(text, 64).tolist(), abs=1e-6)


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
async def test_gemini() -> None:
    """Contents come in one batch."""
    async with gemini_sdk() as (sdk, _):
        answer = await sdk.models.embed_content(
            model=EMBEDDING_ID, contents=TEXTS, config={"output_dimensionality": 64}
        )
        vectors = [item.values for item in answer.embeddings]
        assert vectors == [pytest.approx(embed_text(text, 64).tolist()) for text in TEXTS]


async def test_gemini_one_content() -> None:
    """A single content has a route of its own."""
    path = f"/v1beta/models/{EMBEDDING_ID}:embedContent"
    body = {"content": {"parts": [{"text": TEXTS[0]}]}}
    async with serving() as client, client.post(path, json=body) as response:
        found = orjson.loads(await response.read())["embedding"]["values"]
        assert found == pytest.approx(embed_text(TEXTS[0]).tolist())


async def test_cohere() -> None:
    """Vectors come by type; the purpose is required."""
    async with cohere_sdk() as (sdk, _):
        answer: Any = await sdk.embed(
            model=EMBEDDING_ID,
            texts=TEXTS,
            input_type="search_query",
            embedding_types=["float"],
            output_dimension=64,
        )
        expected = [pytest.approx(embed_text(text, 64).tolist()) for text in TEXTS]
        assert answer.embeddings.float_ == expected
        assert answer.meta.billed_units.input_tokens == 5
        with pytest.raises(BadRequestError):
            await sdk.embed(model=EMBEDDING_ID, texts=TEXTS, input_type="poetry")


@pytest.mark.parametrize(
    "changes",
    [{"input": []}, {"input": [""]}, {"dimensions": 0}, {"encoding_format": "hex"}],
)
async def test_bad_request(changes: Any) -> None:
    """What is wrong is a 400; a chat model embeds nothing."""
    good: dict[str, Any] = {"model": EMBEDDING_ID, "input": TEXTS}
    async with openai_sdk() as (sdk, _):
        with pytest.raises(openai.BadRequestError):
            await sdk.embeddings.create(**good | changes)

        with pytest.raises(openai.NotFoundError):
            await sdk.embeddings.create(model=MODEL_ID, input=TEXTS)
