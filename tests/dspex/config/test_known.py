"""What is known of providers by their names."""

from __future__ import annotations

import pytest

from dspex.config.known import customary_variables


class TestKeys:
    def test_the_first_of_several_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Google's own library prefers GOOGLE_API_KEY, Cohere's CO_API_KEY."""
        monkeypatch.setenv("GEMINI_API_KEY", "second")
        monkeypatch.setenv("COHERE_API_KEY", "second")
        assert "second" == customary_variables("gemini")["api_key"]
        monkeypatch.setenv("GOOGLE_API_KEY", "first")
        monkeypatch.setenv("CO_API_KEY", "first")
        assert "first" == customary_variables("gemini")["api_key"]
        assert "first" == customary_variables("cohere")["api_key"]

    def test_any_other_by_its_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A dash is an underscore."""
        monkeypatch.setenv("MY_GATEWAY_API_KEY", "key")
        assert {"api_key": "key"} == customary_variables("my-gateway")


class TestUrls:
    @pytest.mark.parametrize(
        ("provider", "variable", "given", "url"),
        [
            ("anthropic", "ANTHROPIC_BASE_URL", "https://a.test", "https://a.test/v1"),
            ("anthropic", "ANTHROPIC_BASE_URL", "https://a.test/v1", "https://a.test/v1"),
            ("cohere", "CO_API_URL", "https://c.test/", "https://c.test/v2"),
            ("gemini", "GOOGLE_GEMINI_BASE_URL", "https://g.test", "https://g.test/v1beta"),
            ("openai", "OPENAI_BASE_URL", "https://o.test", "https://o.test"),
        ],
    )
    def test_the_version_is_added_where_their_own_library_adds_it(
        self,
        monkeypatch: pytest.MonkeyPatch,
        provider: str,
        variable: str,
        given: str,
        url: str,
    ) -> None:
        """The same variable works for both."""
        monkeypatch.setenv(variable, given)
        assert url == customary_variables(provider)["base_url"]
