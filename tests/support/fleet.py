"""Several scripted providers behind one runtime: what the tests of routing share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dspex.config import CacheSettings, ProviderSettings
from dspex.runtime import Runtime
from dspex.testing import FakeTransport

__all__ = ("fleet",)


def fleet(
    transports: Mapping[str, FakeTransport],
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    cache: bool = False,
    **common: Any,
) -> Runtime:
    """Return a runtime with one provider for each transport, of the same name."""
    own = settings or {}

    async def session(settings: ProviderSettings, *args: Any, **kwargs: Any) -> None:
        name = (settings.base_url or "").removeprefix("http://").removesuffix("/v1")
        await transports[name].session(settings, *args, **kwargs)

    return Runtime(
        providers={
            name: ProviderSettings(base_url=f"http://{name}/v1", **{**common, **own.get(name, {})})
            for name in transports
        },
        session=session,
        log="off",
        cache=CacheSettings() if cache else None,
    )
