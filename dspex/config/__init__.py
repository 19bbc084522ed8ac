"""Settings: what was given in code, else the environment, else `dspex.toml`.

    dspex.toml                              environment
    default = "openai/some-model"           DSPEX_DEFAULT=openai/some-model
    [providers.openai]
    base_url = "http://127.0.0.1:8000/v1"   DSPEX_PROVIDERS__OPENAI__BASE_URL=...
    requests_per_minute = 3000              DSPEX_PROVIDERS__OPENAI__REQUESTS_PER_MINUTE=3000

A provider's key may also come from its own customary variable: OPENAI_API_KEY for "openai", and so
on; likewise OPENAI_BASE_URL. Settings are frozen values; a mistake is a `ConfigError` that names
where the value stands, its key and what was found. Keys are `SecretStr`: never shown, never logged.
"""

from __future__ import annotations

from dspex.config.cache import CacheSettings
from dspex.config.connection import TlsSettings
from dspex.config.explain import Explained, Explanation
from dspex.config.known import KNOWN_BASE_URLS
from dspex.config.prices import ModelPrice
from dspex.config.providers import BreakerSettings, ProviderSettings
from dspex.config.quarantine import QuarantineSettings
from dspex.config.secret import Secret
from dspex.config.settings import Settings
from dspex.config.telemetry import TelemetrySettings

__all__ = (
    "KNOWN_BASE_URLS",
    "BreakerSettings",
    "CacheSettings",
    "Explained",
    "Explanation",
    "ModelPrice",
    "ProviderSettings",
    "QuarantineSettings",
    "Secret",
    "Settings",
    "TelemetrySettings",
    "TlsSettings",
)
