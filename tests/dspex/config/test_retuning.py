"""Settings change while a runtime runs: as a whole, checked like all, or refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from dspex.config import CacheSettings, ProviderSettings, Settings
from dspex.config.retuning import FIXED, retuned_cache, retuned_provider
from dspex.errors import ConfigError


def settings() -> Settings:
    return Settings.from_code(
        default="p/m",
        providers={
            "p": {
                "base_url": "http://p",
                "api_key": "sk-1",
                "requests_per_minute": 60,
                "breaker": {"min_calls": 5, "window_s": 7},
            },
            "q": ProviderSettings(base_url="http://q"),
        },
    )


class TestProvider:
    def test_what_is_given_changes_and_the_rest_stays(self) -> None:
        """The old settings stay what they were."""
        old = settings()

        new = retuned_provider(old, "p", {"requests_per_minute": 120, "max_retries": 1})

        assert (60, 120, 1) == (
            old.providers["p"].requests_per_minute,
            new.providers["p"].requests_per_minute,
            new.providers["p"].max_retries,
        )
        assert new.providers["p"].base_url == "http://p"
        assert new.providers["p"].reveal_key() == "sk-1"
        assert new.providers["q"] == old.providers["q"]
        assert "p/m" == new.default

    def test_a_table_changes_field_by_field(self) -> None:
        """The window stays when the rate changes."""
        breaker = retuned_provider(settings(), "p", {"breaker": {"min_calls": 9}}).providers["p"]

        assert (9, 7.0) == (breaker.breaker.min_calls, breaker.breaker.window_s)

    def test_a_limit_is_taken_away_by_none(self) -> None:
        """None means none."""
        new = retuned_provider(settings(), "p", {"requests_per_minute": None})

        assert new.providers["p"].requests_per_minute is None

    def test_the_change_is_explained(self) -> None:
        """And only that."""
        told = retuned_provider(settings(), "p", {"breaker": {"min_calls": 9}}).explain()

        assert ("9", "retune") == told["providers.p.breaker.min_calls"][1:]
        assert ("7.0", "code") == told["providers.p.breaker.window_s"][1:]
        assert "default" == told["providers.p.max_retries"].source

    @pytest.mark.parametrize(
        ("provider", "changes", "message"),
        [
            ("p", {"max_retries": 99}, r"retune: providers\.p\.max_retries = 99: .*less than"),
            ("p", {"max_retrys": 1}, r"max_retrys = 1: .*did you mean 'max_retries'"),
            ("p", {"breaker": {"min_calls": 0}}, r"providers\.p\.breaker\.min_calls = 0"),
            ("p", {"base_url": "http://x"}, r"providers\.p\.base_url: cannot change.*was asked"),
            ("p", {"api_key": "sk-2"}, r"providers\.p\.api_key: cannot change"),
            ("other", {"max_retries": 1}, r"'other': no such provider .*there is: p, q"),
        ],
    )
    def test_a_mistake_names_its_place(
        self, provider: str, changes: dict[str, Any], message: str
    ) -> None:
        """And nothing has changed."""
        with pytest.raises(ConfigError, match=message) as caught:
            retuned_provider(settings(), provider, changes)

        assert "sk-" not in str(caught.value)

    def test_every_fixed_setting_is_one(self) -> None:
        """A setting that was renamed would be changed without effect."""
        fields = ProviderSettings.model_fields.keys() | CacheSettings.model_fields.keys()

        assert FIXED.keys() <= fields


class TestCache:
    def test_bounds_change(self) -> None:
        """Of memory and of disk, and the time to live."""
        cache = retuned_cache(settings(), {"max_bytes": 10, "ttl_s": 5}).cache

        assert cache is not None
        assert (10, 5.0) == (cache.max_bytes, cache.ttl_s)

    def test_the_file_does_not(self) -> None:
        """It is open, and shared."""
        with pytest.raises(ConfigError, match=r"cache\.path: cannot change.*file is open"):
            retuned_cache(settings(), {"path": "other.db"})

    def test_a_cache_that_is_off_stays_off(self) -> None:
        """There is no child to take on the bounds."""
        with pytest.raises(ConfigError, match="cache is off"):
            retuned_cache(Settings.from_code(cache=None), {"max_bytes": 10})
