"""Published prices are the package's own numbers, in our form."""

from __future__ import annotations

import builtins
from datetime import UTC, datetime
from typing import Any

import pytest

from dspex.clients.prices.published import PublishedPrices
from dspex.errors import ConfigError
from dspex.usage import Usage

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


class TestPublished:
    @pytest.fixture
    def published(self) -> PublishedPrices:
        """Load the list."""
        return PublishedPrices.load()

    @pytest.mark.parametrize(
        "usage",
        [
            {"input_tokens": 1_000, "output_tokens": 300},
            {"input_tokens": 1_000, "output_tokens": 300, "cache_read_tokens": 400},
            {"input_tokens": 300_000, "output_tokens": 7, "cache_write_tokens": 1_000},
        ],
        ids=["plain", "read", "write, second tier"],
    )
    @pytest.mark.parametrize(
        ("provider", "model"),
        [
            ("openai", "gpt-4o-mini"),
            ("anthropic", "claude-sonnet-4-5"),
            ("google", "gemini-2.5-pro"),
        ],
    )
    def test_costs_are_those_of_the_package(
        self, published: PublishedPrices, provider: str, model: str, usage: dict[str, Any]
    ) -> None:
        """Our own multiplication gives what the package's slower one gives."""
        from genai_prices import Usage as TheirUsage, calc_price

        found = published.find(provider, "", model, NOW)

        assert found is not None
        theirs = calc_price(
            TheirUsage(**usage), model, provider_id=provider, genai_request_timestamp=NOW
        )

        assert theirs.total_price == found.of(Usage(**usage))

    def test_a_batch_has_its_published_price(self, published: PublishedPrices) -> None:
        """Where there is one."""
        found = published.find("openai", "", "gpt-4o-mini", NOW)

        assert found is not None
        assert found.batch is not None
        assert found.batch.output_usd == found.output_usd / 2
        assert "genai-prices" in found.source

    def test_a_provider_is_also_known_by_its_url(self, published: PublishedPrices) -> None:
        """Its name in the settings is the user's own choice."""
        by_url = published.find("my-account", "https://api.openai.com/v1", "gpt-4o-mini", NOW)

        assert by_url is not None
        assert by_url == published.find("openai", "", "gpt-4o-mini", NOW)

    def test_unknown_models_have_no_price(self, published: PublishedPrices) -> None:
        """Neither do unknown providers."""
        assert published.find("openai", "", "no-such-model", NOW) is None
        assert published.find("nobody", "http://127.0.0.1/v1", "gpt-4o-mini", NOW) is None

    def test_a_missing_package_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error says what to install."""
        real = builtins.__import__

        def missing(name: str, *args: Any, **kwargs: Any) -> Any:
            if name.startswith("genai_prices"):
                raise ImportError(name)

            return real(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", missing)
        with pytest.raises(ConfigError, match=r"install dspex\[cost\]"):
            PublishedPrices.load()
