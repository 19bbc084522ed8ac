"""Google's own library, pointed at a server of ours."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

with warnings.catch_warnings():
    # Its types inherit from typing's private parts, which newer Pythons warn of.
    warnings.simplefilter("ignore", DeprecationWarning)
    from google import genai
    from google.genai import types
    from google.genai.client import AsyncClient

__all__ = ("official_client", "types")


@asynccontextmanager
async def official_client(url: str) -> AsyncIterator[AsyncClient]:
    """Give its client of the server at `url`, with the key "key" and without retries."""
    # Reading the system's certificates for each test would take longer than the test.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    without = {"verify": context, "ssl": context}
    options = types.HttpOptions(
        base_url=url, api_version="v1beta", client_args=without, async_client_args=without
    )
    client = genai.Client(api_key="key", http_options=options)
    try:
        yield client.aio
    finally:
        await client.aio.aclose()
        client.close()
