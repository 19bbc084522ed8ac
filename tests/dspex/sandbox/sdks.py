"""The providers' own SDKs, talking to an application in this process, without retries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import cohere
import httpx
import openai
from google import genai
from google.genai import types as genai_types

from dspex.sandbox import Script
from tests.dspex.sandbox.serving import Client, root, serving

__all__ = ("anthropic_sdk", "cohere_sdk", "gemini_sdk", "openai_sdk")


@asynccontextmanager
async def openai_sdk(
    script: Script | None = None, key: str = "k", **options: Any
) -> AsyncIterator[tuple[openai.AsyncOpenAI, Client]]:
    async with serving(script, **options) as client:
        base_url = f"{root(client)}/v1"
        async with openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0) as sdk:
            yield sdk, client


@asynccontextmanager
async def anthropic_sdk(
    script: Script | None = None, key: str = "k", **options: Any
) -> AsyncIterator[tuple[anthropic.AsyncAnthropic, Client]]:
    async with serving(script, **options) as client:
        sdk = anthropic.AsyncAnthropic(base_url=root(client), api_key=key, max_retries=0)
        async with sdk:
            yield sdk, client


@asynccontextmanager
async def gemini_sdk(
    script: Script | None = None, key: str = "k", **options: Any
) -> AsyncIterator[tuple[Any, Client]]:
    async with serving(script, **options) as client:
        wire = genai_types.HttpOptions(base_url=root(client))
        sdk = genai.Client(api_key=key, http_options=wire).aio
        try:
            yield sdk, client
        finally:
            await sdk.aclose()


@asynccontextmanager
async def cohere_sdk(
    script: Script | None = None, key: str = "k", **options: Any
) -> AsyncIterator[tuple[cohere.AsyncClientV2, Client]]:
    async with serving(script, **options) as client, httpx.AsyncClient() as http:
        yield cohere.AsyncClientV2(base_url=root(client), api_key=key, httpx_client=http), client
