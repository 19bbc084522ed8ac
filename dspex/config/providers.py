"""The settings of one provider, its breaker's included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator

from dspex.config.connection import (
    TlsSettings,
    check_base_url,
    check_header_name,
    check_proxy_url,
)
from dspex.config.model import FrozenModel
from dspex.config.prices import ModelPrice
from dspex.config.secret import Secret, bare, reveal

__all__ = ("BreakerSettings", "ProviderSettings")


class BreakerSettings(FrozenModel):
    """When a breaker opens, and for how long.

    It opens when at least `min_calls` of the last `window_s` seconds were judged and `failure_rate`
    of them failed, or after `consecutive_failures` in a row. After `recovery_s` it lets one probe
    through.
    """

    failure_rate: float = Field(default=0.5, gt=0, le=1)
    window_s: float = Field(default=30.0, gt=0)
    min_calls: int = Field(default=50, ge=1)
    consecutive_failures: int = Field(default=20, ge=1)
    recovery_s: float = Field(default=30.0, gt=0)


class ProviderSettings(FrozenModel):
    """How to reach one provider and how hard to press it.

    What it is: `wire` is how it speaks and `compat` a known server's abilities, both by the
    provider's name when None; `compat_overrides` replaces single fields of `Compat`. `headers` go
    out with every request and are kept secret; `correlation_header` is the name of one that carries
    the call's correlation id.

    How hard: rates are per minute and unset by default; answers that say "slow down" are honoured
    either way. Those of a user bound what each `user` of the call scope may ask for, a person or
    any other key (a tenant, a feature, a model's name); a call without one is not bound by them.
    `adaptive_concurrency` lowers the calls in flight while the provider refuses many of them.
    `max_connections` is by default what the process's open-file limit allows; `max_waiting` calls
    may wait for one, each for `pool_timeout_s` (None: for as long as the call may).

    Deadlines: `connect` for the connection, `first_byte` and `idle` within a stream, `attempt` for
    one try, `call` for everything, waiting and retries included.

    The way there: `proxy` is a URL; with `trust_env` it is taken from HTTPS_PROXY, HTTP_PROXY,
    ALL_PROXY and NO_PROXY where it is not set. Names are looked up again after `dns_cache_s`, idle
    connections closed after `keep_alive_s`, which should be less than the server's own time.

    Prices are US dollars per million tokens: those of `prices` for a model, else those of the
    provider's own fields for all its models, else those of `price_list`, a package of published
    ones. Without any the cost of a call is unknown (None), never zero. `batch_discount` is the part
    taken off calls through a batch interface.
    """

    wire: str | None = None
    compat: str | None = None
    compat_overrides: Mapping[str, Any] = Field(default_factory=dict)
    base_url: str | None = None
    api_key: Secret | None = None
    organization: str | None = None
    project: str | None = None
    headers: Mapping[str, Secret] = Field(default_factory=dict)
    correlation_header: str | None = None
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    input_tokens_per_minute: float | None = Field(default=None, gt=0)
    output_tokens_per_minute: float | None = Field(default=None, gt=0)
    per_user_requests_per_minute: float | None = Field(default=None, gt=0)
    per_user_tokens_per_minute: float | None = Field(default=None, gt=0)
    adaptive_concurrency: bool = True
    max_connections: int | None = Field(default=None, ge=1)
    max_waiting: int = Field(default=100_000, ge=0)
    pool_timeout_s: float | None = Field(default=None, gt=0)
    connect_timeout_s: float = Field(default=10.0, gt=0)
    first_byte_timeout_s: float = Field(default=60.0, gt=0)
    idle_timeout_s: float = Field(default=30.0, gt=0)
    attempt_timeout_s: float = Field(default=120.0, gt=0)
    call_timeout_s: float = Field(default=300.0, gt=0)
    max_retries: int = Field(default=4, ge=0, le=20)
    retry_budget: float = Field(default=0.2, ge=0, le=1)
    breaker: BreakerSettings = BreakerSettings()
    proxy: Secret | None = None
    trust_env: bool = False
    tls: TlsSettings = TlsSettings()
    dns_cache_s: float = Field(default=300.0, ge=0)
    keep_alive_s: float = Field(default=55.0, gt=0)
    input_usd_per_million_tokens: float | None = Field(default=None, ge=0)
    output_usd_per_million_tokens: float | None = Field(default=None, ge=0)
    cache_read_usd_per_million_tokens: float | None = Field(default=None, ge=0)
    cache_write_usd_per_million_tokens: float | None = Field(default=None, ge=0)
    batch_discount: float = Field(default=0.5, ge=0, le=1)
    prices: Mapping[str, ModelPrice] = Field(default_factory=dict)
    price_list: Literal["genai-prices"] | None = None

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str | None) -> str | None:
        if value is not None:
            check_base_url(value)

        return value

    @field_validator("api_key")
    @classmethod
    def _check_key(cls, value: Secret | None) -> SecretStr | None:
        return None if value is None else bare(value)

    @field_validator("proxy")
    @classmethod
    def _check_proxy(cls, value: Secret | None) -> SecretStr | None:
        if value is None:
            return None

        check_proxy_url(reveal(value) or "")
        return bare(value)

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, value: Mapping[str, Secret]) -> Mapping[str, SecretStr]:
        for name in value:
            check_header_name(name)

        return {name: bare(text) for name, text in value.items()}

    @field_validator("correlation_header")
    @classmethod
    def _check_header(cls, value: str | None) -> str | None:
        if value is not None:
            check_header_name(value)

        return value

    @field_validator("organization", "project")
    @classmethod
    def _check_name(cls, value: str | None) -> str | None:
        if value is not None and not (value.strip() and value.isprintable()):
            raise ValueError("is empty or holds a control character, which no header can")

        return value

    def reveal_key(self) -> str | None:
        """Return the key in the clear: for the header that carries it, and for nothing else."""
        return reveal(self.api_key)

    def reveal_headers(self) -> dict[str, str]:
        """Return the headers in the clear: for the session that sends them, and nothing else."""
        return {name: reveal(text) or "" for name, text in self.headers.items()}

    def reveal_proxy(self) -> str | None:
        """Return the proxy's URL in the clear, its password included."""
        return reveal(self.proxy)
